#!/bin/sh
# Run once, when the database's directory is made: the service and MLflow get a role and databases of their own,
# so that neither's password opens the other's. The passwords are read by psql itself, from the mounted files.
set -eu

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set service `cat /run/secrets/database_password`
\set mlflow `cat /run/secrets/mlflow_database_password`
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
CREATE ROLE rebalance LOGIN PASSWORD :'service';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE DATABASE rebalance OWNER rebalance;
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
REVOKE CONNECT ON DATABASE rebalance, mlflow, mlflow_auth FROM PUBLIC;
SQL
