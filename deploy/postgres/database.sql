-- The database of the service :role, called like it. Included by databases.sql.

SELECT format('CREATE DATABASE %I OWNER %I', :'role', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'role')
\gexec

-- PUBLIC is everybody, also the other services.
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"role" TO comanda_relay;

-- The relay is the service while it is in the service's database, so that what either of them makes belongs to the service.
GRANT :"role" TO comanda_relay;
ALTER ROLE comanda_relay IN DATABASE :"role" SET role = :'role';
