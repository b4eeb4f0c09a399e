-- A sequence that was never asked says 1, as it does when 1 was taken. A relay that was idle then believed position 1 to be behind it,
-- and the first message of a new database was never published. 0 is a place that nothing takes.
ALTER SEQUENCE outbox_position MINVALUE 0;
SELECT setval('outbox_position', 0) FROM outbox_position WHERE NOT is_called;
