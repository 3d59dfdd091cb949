-- The projection that is measured: one row per customer, one upsert per event. The same statement
-- as in bench_projection.c and emmett/bench.mjs. bench/run adds `-- mode:` and `-- target:`.
-- projection: sales
-- from: order

create table sales (
  customer text primary key, orders bigint not null, cents bigint not null, city text,
  updated_at text not null);

-- on: order.placed
insert into sales (customer, orders, cents, city, updated_at)
  values (:key, 1, cast(:data -> 'items' -> 0 ->> 'cents' as bigint), :data ->> 'city', :timestamp)
  on conflict (customer) do update set orders = sales.orders + 1,
    cents = sales.cents + excluded.cents, city = excluded.city, updated_at = excluded.updated_at;

-- query: orders_of(customer text)
select orders, cents from sales where customer = :customer;
