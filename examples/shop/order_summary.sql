-- Orders of each customer: who ordered, how much, and how far it is.
-- projection: order_summary
-- from: customer, order

create table if not exists customer (
  customer_id text primary key,
  name text not null);
create table if not exists order_summary (
  order_id text primary key,
  customer_id text not null,
  customer_name text,
  total_cents bigint not null,
  item_count integer not null,
  status text not null,
  created_at text not null,
  updated_at text not null);
create index if not exists order_summary_customer on order_summary (customer_id, created_at);

-- on: customer.registered, customer.renamed
insert into customer (customer_id, name)
  values (:data ->> 'customer_id', :data ->> 'name')
  on conflict (customer_id) do update set name = excluded.name;
update order_summary set customer_name = :data ->> 'name'
  where customer_id = :data ->> 'customer_id';

-- on: order.created
insert into order_summary (order_id, customer_id, customer_name, total_cents, item_count,
                           status, created_at, updated_at)
  values (:data ->> 'order_id', :data ->> 'customer_id',
          (select name from customer where customer_id = :data ->> 'customer_id'),
          cast(round(cast(:data ->> 'total_amount' as numeric) * 100) as bigint), -- money is cents
          json_array_length(:data -> 'items'),
          'PENDING', :timestamp, :timestamp)
  on conflict (order_id) do nothing;

-- on: order.paid
update order_summary set status = 'PAID', updated_at = :timestamp
  where order_id = :data ->> 'order_id';

-- on: order.shipped
update order_summary set status = 'SHIPPED', updated_at = :timestamp
  where order_id = :data ->> 'order_id';

-- on: order.cancelled
update order_summary set status = 'CANCELLED', updated_at = :timestamp
  where order_id = :data ->> 'order_id';

-- query: customer_orders(customer_id text, status text = null, limit bigint = 50)
select * from order_summary
  where customer_id = :customer_id and (:status is null or status = :status)
  order by created_at, order_id
  limit :limit;

-- query: one_order(order_id text)
select * from order_summary where order_id = :order_id;
