# The Restaurant Service: it registers itself, and calls nobody.

service "restaurant" {
  policy = "write"
}
node_prefix "" {
  policy = "read"
}
