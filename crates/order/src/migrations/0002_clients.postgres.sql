-- Who is told of an order's end over a channel; all three are NULL when it was not created over one.
ALTER TABLE orders ADD COLUMN reply_address TEXT, ADD COLUMN correlation_id TEXT, ADD COLUMN command_id BYTEA;
