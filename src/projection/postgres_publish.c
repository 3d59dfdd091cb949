/*
 * The stable names of a projection in PostgreSQL: views in the schema that has its name, of every
 * table and view of the published version. See postgres_target.h.
 *
 * One transaction swaps them, so readers see one version or the other. A view whose columns fit is
 * replaced, and what outsiders have built on it stays. One whose columns changed is dropped and
 * made again, with the rights that were granted on it; that fails where other views are built on
 * it, and so does one that is gone. A view of ours is known by its comment: what else is in the
 * schema is left alone, and a name that is taken by it is an error.
 */
#include <stdio.h>

#include "projection/limits.h"
#include "projection/postgres_schema.h"
#include "projection/postgres_target.h"

static const char make_views[] =
    "do $swap$\n"
    "declare\n"
    "  views constant text := current_setting('mainstem.views');\n"
    "  version constant text := current_setting('mainstem.version');\n"
    "  mark constant text := 'a projection of Mainstem: the published version';\n"
    "  item record;\n"
    "  held record;\n"
    "  rights aclitem[];\n"
    "begin\n"
    "  perform pg_advisory_xact_lock(hashtextextended('mainstem publish ' || views, 0));\n"
    "  if not exists (select from pg_namespace where nspname = views) then\n"
    "    execute format('create schema %I', views);\n"
    "    execute format('comment on schema %I is %L', views, mark);\n"
    "  end if;\n"
    "  for item in\n"
    "    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace\n"
    "      where n.nspname = views and c.relkind = 'v'\n"
    "        and obj_description(c.oid, 'pg_class') = mark\n"
    "        and not exists (\n"
    "          select from pg_class t join pg_namespace tn on tn.oid = t.relnamespace\n"
    "            where tn.nspname = version and t.relname = c.relname\n"
    "              and t.relkind in ('r', 'p', 'v', 'm', 'f'))\n"
    "  loop\n"
    "    execute format('drop view %I.%I', views, item.relname);\n"
    "  end loop;\n"
    "  for item in\n"
    "    select t.relname, (\n"
    "        select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace\n"
    "          where n.nspname = views and c.relname = t.relname) as old\n"
    "      from pg_class t join pg_namespace tn on tn.oid = t.relnamespace\n"
    "      where tn.nspname = version and t.relkind in ('r', 'p', 'v', 'm', 'f')\n"
    "        and not t.relispartition and not starts_with(t.relname, 'mainstem_')\n"
    "      order by t.relname\n"
    "  loop\n"
    "    if item.old is not null\n"
    "        and obj_description(item.old, 'pg_class') is distinct from mark then\n"
    "      raise exception using errcode = 'duplicate_table',\n"
    "        message = format('%I.%I is there already and no view of a projection',\n"
    "                         views, item.relname);\n"
    "    end if;\n"
    "    begin\n"
    "      execute format('create or replace view %1$I.%3$I as select * from %2$I.%3$I',\n"
    "                     views, version, item.relname);\n"
    "    exception when invalid_table_definition then\n"
    "      select relacl into rights from pg_class where oid = item.old;\n"
    "      execute format('drop view %I.%I', views, item.relname);\n"
    "      execute format('create view %1$I.%3$I as select * from %2$I.%3$I',\n"
    "                     views, version, item.relname);\n"
    "      for held in select * from aclexplode(rights) where grantee <> grantor loop\n"
    "        execute format('grant %s on %I.%I to %s%s', held.privilege_type, views,\n"
    "          item.relname,\n"
    "          case held.grantee when 0 then 'public'\n"
    "            else quote_ident(pg_get_userbyid(held.grantee)) end,\n"
    "          case when held.is_grantable then ' with grant option' else '' end);\n"
    "      end loop;\n"
    "    end;\n"
    "    execute format('comment on view %I.%I is %L', views, item.relname, mark);\n"
    "  end loop;\n"
    "end $swap$";

/* A schema of ours in which nothing is left. */
static const char drop_views[] =
    "do $swap$\n"
    "declare\n"
    "  views constant text := current_setting('mainstem.views');\n"
    "  mark constant text := 'a projection of Mainstem: the published version';\n"
    "begin\n"
    "  perform pg_advisory_xact_lock(hashtextextended('mainstem publish ' || views, 0));\n"
    "  if exists (select from pg_namespace where nspname = views\n"
    "      and obj_description(oid, 'pg_namespace') = mark) then\n"
    "    execute format('drop schema %I', views);\n"
    "  end if;\n"
    "exception when dependent_objects_still_exist or insufficient_privilege then\n"
    "  null; /* it is others' too */\n"
    "end $swap$";

static int swap(struct ms_postgres_db *db, const char *const names[2], const char *block,
                struct ms_error *err) {
    int code = ms_postgres_db_exec(db, "begin", err);
    if (code == 0)
        code = ms_postgres_db_query(db,
                                    "select pg_catalog.set_config('mainstem.views', $1, true),"
                                    " pg_catalog.set_config('mainstem.version', $2, true)",
                                    2, names, NULL, err);
    if (code == 0)
        code = ms_postgres_db_exec(db, block, err);
    return code == 0 ? ms_postgres_db_exec(db, "commit", err) : code;
}

int ms_postgres_publish(const struct ms_postgres_place *place, struct ms_bytes name,
                        struct ms_error *err) {
    char views[MS_PROJECTION_NAME_MAX + 1];
    const char *const names[] = {views, place->schema};
    struct ms_postgres_db db;
    snprintf(views, sizeof views, "%.*s", (int)name.len, (const char *)name.data);
    if (strcmp(views, place->schema) == 0)
        return ms_error_set(
            err, MS_EINVAL,
            "PostgreSQL: a version can't be in the schema of the projection's name");
    const struct ms_postgres_door door = {.conninfo = place->conninfo};
    int code = ms_postgres_db_open(&db, &door, MS_POSTGRES_WRITER, err);
    if (code != 0)
        return code;
    code = swap(&db, names, make_views, err);
    ms_postgres_db_close(&db);
    return code;
}

int ms_postgres_unpublish(struct ms_postgres_db *db, struct ms_bytes name, struct ms_error *err) {
    char views[MS_PROJECTION_NAME_MAX + 1];
    const char *const names[] = {views, ""};
    snprintf(views, sizeof views, "%.*s", (int)name.len, (const char *)name.data);
    return swap(db, names, drop_views, err);
}
