-- Run once by a superuser; change the passwords, here and in .env.
CREATE ROLE flexgate_owner LOGIN PASSWORD 'change-me';
CREATE ROLE flexgate_tenant NOLOGIN;
CREATE ROLE flexgate_narrowed NOLOGIN;
CREATE ROLE flexgate_operator NOLOGIN;
CREATE ROLE flexgate_auth NOLOGIN;
CREATE ROLE flexgate LOGIN NOINHERIT PASSWORD 'change-me';
GRANT flexgate_tenant, flexgate_narrowed, flexgate_operator, flexgate_auth TO flexgate;
CREATE DATABASE flexgate OWNER flexgate_owner;
