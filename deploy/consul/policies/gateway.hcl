# The gateway: it registers itself, calls all services, and looks for others with its tag. Without that, or with `gateway.discover.is_on =
# false`, it needs to read order, consumer and restaurant only.

service "gateway" {
  policy = "write"
}
service_prefix "" {
  policy = "read"
}
node_prefix "" {
  policy = "read"
}
