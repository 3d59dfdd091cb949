-- What was paid on each day, what went back, and for how many orders.
-- projection: revenue_by_day
-- from: order

create table if not exists revenue_by_day (
  day text primary key,
  orders bigint not null,
  paid_cents bigint not null,
  refunded_cents bigint not null);

-- on: order.paid
insert into revenue_by_day (day, orders, paid_cents, refunded_cents)
  values (substr(:timestamp, 1, 10), 1,
          cast(round(cast(:data ->> 'amount' as numeric) * 100) as bigint), 0)
  on conflict (day) do update set
    orders = revenue_by_day.orders + excluded.orders,
    paid_cents = revenue_by_day.paid_cents + excluded.paid_cents;

-- on: order.refunded
insert into revenue_by_day (day, orders, paid_cents, refunded_cents)
  values (substr(:timestamp, 1, 10), 0, 0,
          cast(round(cast(:data ->> 'amount' as numeric) * 100) as bigint))
  on conflict (day) do update set
    refunded_cents = revenue_by_day.refunded_cents + excluded.refunded_cents;

-- query: days(first text = '0000-01-01', last text = '9999-12-31', limit bigint = 366)
select day, orders, paid_cents, refunded_cents, paid_cents - refunded_cents as net_cents
  from revenue_by_day
  where day between :first and :last
  order by day
  limit :limit;

-- query: total
select coalesce(sum(orders), 0) as orders,
       coalesce(sum(paid_cents), 0) as paid_cents,
       coalesce(sum(refunded_cents), 0) as refunded_cents
  from revenue_by_day;
