-- One database and one role for each service, and a role for the relay. As a superuser, as often as one likes:
--
--   psql --file deploy/postgres/databases.sql postgres
--
-- with the passwords in POSTGRES_ORDER_PASSWORD, POSTGRES_CONSUMER_PASSWORD, POSTGRES_RESTAURANT_PASSWORD and POSTGRES_RELAY_PASSWORD. It
-- sets them too, so this is also how they are changed. Tables are made by the services themselves.

\set ON_ERROR_STOP on

\set role comanda_relay
\getenv password POSTGRES_RELAY_PASSWORD
\ir role.sql

\set role comanda_order
\getenv password POSTGRES_ORDER_PASSWORD
\ir role.sql
\ir database.sql

\set role comanda_consumer
\getenv password POSTGRES_CONSUMER_PASSWORD
\ir role.sql
\ir database.sql

\set role comanda_restaurant
\getenv password POSTGRES_RESTAURANT_PASSWORD
\ir role.sql
\ir database.sql
