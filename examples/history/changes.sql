-- Who changed how much, month by month, in the histories that `make demo` imports: changes of files
-- from a `git log`, or releases of packages from their changelogs.
-- projection: changes
-- from: file, package

create table if not exists changes (
  author text not null,
  month text not null,
  changes bigint not null,
  primary key (author, month));

-- on: file.*, package.*
insert into changes (author, month, changes)
  values (coalesce(:data ->> 'author', :data ->> 'maintainer', :source, 'nobody'),
          substr(:timestamp, 1, 7), 1)
  on conflict (author, month) do update set changes = changes.changes + excluded.changes;

-- query: by_month(author text = null)
select author, month, changes from changes
  where :author is null or author = :author
  order by author, month;

-- query: busiest(limit bigint = 3)
select author, sum(changes) as changes, min(month) as first, max(month) as last
  from changes
  group by author
  order by sum(changes) desc, author
  limit :limit;
