-- Run once, when PostgreSQL's volume is empty. The database `airflow` is made by the image itself.
create database mlflow;
create database ledger;
