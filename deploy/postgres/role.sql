-- The role :role with the password :password. Included by databases.sql.

\if :{?password}
\else
\warn no password is given for :role
\endif

SELECT format('CREATE ROLE %I LOGIN', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role')
\gexec

-- REPLICATION: to read the log of its own database; which others it could read is up to CONNECT, and to pg_hba.conf.
ALTER ROLE :"role" LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';

-- The password of one role must not become that of the next, whose own is missing.
\unset password
