-- An order, from its creation to its end. Its events fill order_summary.sql.
--
--   NEW ──create──> PENDING_PAYMENT ──pay──> PAID ──ship──> SHIPPED
--                         └──────cancel─────┴──────> CANCELLED

local function total_cents(items)
  local cents = 0
  for _, item in ipairs(items) do cents = cents + item.price_cents * item.quantity end
  return cents
end

local function expect_status(state, command, ...)
  for _, status in ipairs { ... } do
    if state.status == status then return end
  end
  reject("order.wrong_status", command.type .. " is not possible: the order is " .. state.status)
end

aggregate "order" {
  initial = { status = "NEW" },

  apply = {
    ["order.created"] = function(state, event)
      state.status = "PENDING_PAYMENT"
      state.customer_id = event.data.customer_id
      state.total_cents = total_cents(event.data.items)
    end,
    ["order.paid"] = function(state) state.status = "PAID" end,
    ["order.shipped"] = function(state) state.status = "SHIPPED" end,
    ["order.cancelled"] = function(state) state.status = "CANCELLED" end,
  },

  handle = {
    CreateOrder = function(state, command)
      expect_status(state, command, "NEW")
      local data = command.data
      if #data.items == 0 then reject("order.empty", "an order has at least one item") end
      for i, item in ipairs(data.items) do
        if item.quantity < 1 then
          reject("order.bad_quantity", "item " .. i .. " has the quantity " .. item.quantity)
        end
      end
      return { event("order.created", {
        order_id = data.order_id,
        customer_id = data.customer_id,
        items = data.items,
        total_amount = total_cents(data.items) / 100,
      }) }
    end,

    Pay = function(state, command)
      if state.status == "PAID" then return {} end -- paid already: nothing happens
      expect_status(state, command, "PENDING_PAYMENT")
      if command.data.amount_cents ~= state.total_cents then
        reject("order.wrong_amount", "it costs " .. state.total_cents .. " cents")
      end
      return { event("order.paid", { order_id = command.data.order_id }) }
    end,

    Ship = function(state, command)
      expect_status(state, command, "PAID")
      return { event("order.shipped", { order_id = command.data.order_id }) }
    end,

    Cancel = function(state, command)
      expect_status(state, command, "PENDING_PAYMENT", "PAID")
      return { event("order.cancelled", {
        order_id = command.data.order_id,
        reason = command.data.reason or null,
        refund_cents = state.status == "PAID" and state.total_cents or 0,
      }) }
    end,
  },
}

-- ---- tests: mainstem test examples/shop ----

local items = { { sku = "tea", price_cents = 450, quantity = 2 } }
local created = event("order.created",
  { order_id = "1", customer_id = "7", items = items, total_amount = 9.0 })
local paid = event("order.paid", { order_id = "1" })

test "an order is created with its total" {
  aggregate = "order",
  command = { type = "CreateOrder", data = { order_id = "1", customer_id = "7", items = items } },
  events = { created },
  state = { status = "PENDING_PAYMENT", customer_id = "7", total_cents = 900 },
}

test "an empty order is refused" {
  aggregate = "order",
  command = { type = "CreateOrder", data = { order_id = "1", customer_id = "7", items = array {} } },
  reject = "order.empty",
}

test "an order is created once" {
  aggregate = "order",
  given = { created },
  command = { type = "CreateOrder", data = { order_id = "1", customer_id = "7", items = items } },
  reject = "order.wrong_status",
}

test "only what it costs is taken" {
  aggregate = "order",
  given = { created },
  command = { type = "Pay", data = { order_id = "1", amount_cents = 899 } },
  reject = "order.wrong_amount",
}

test "paying twice is paying once" {
  aggregate = "order",
  given = { created, paid },
  command = { type = "Pay", data = { order_id = "1", amount_cents = 900 } },
  events = {},
}

test "what was paid is refunded" {
  aggregate = "order",
  given = { created, paid },
  command = { type = "Cancel", data = { order_id = "1", reason = "too late" } },
  events = { event("order.cancelled", { order_id = "1", reason = "too late", refund_cents = 900 }) },
  state = { status = "CANCELLED", customer_id = "7", total_cents = 900 },
}

test "what was shipped can't be cancelled" {
  aggregate = "order",
  given = { created, paid, event("order.shipped", { order_id = "1" }) },
  command = { type = "Cancel", data = { order_id = "1" } },
  reject = "order.wrong_status",
}
