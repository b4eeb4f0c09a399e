# The Order Service: it registers itself, and calls the others to validate orders.

service "order" {
  policy = "write"
}
service "consumer" {
  policy = "read"
}
service "restaurant" {
  policy = "read"
}
# A list of members has their nodes in it, and is empty for whoever may not see those.
node_prefix "" {
  policy = "read"
}
