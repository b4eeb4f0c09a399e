# The gateway: it registers itself, and calls all services.

service "gateway" {
  policy = "write"
}
service "order" {
  policy = "read"
}
service "consumer" {
  policy = "read"
}
service "restaurant" {
  policy = "read"
}
node_prefix "" {
  policy = "read"
}
