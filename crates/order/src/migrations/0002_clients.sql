-- Who is told of an order's end over a channel; all three are NULL when it was not created over one.
ALTER TABLE orders ADD COLUMN reply_address TEXT;
ALTER TABLE orders ADD COLUMN correlation_id TEXT;
ALTER TABLE orders ADD COLUMN command_id BLOB;
