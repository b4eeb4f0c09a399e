# The Consumer Service: it registers itself, and calls nobody.

service "consumer" {
  policy = "write"
}
node_prefix "" {
  policy = "read"
}
