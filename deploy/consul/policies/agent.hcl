# The agent of a machine: it registers its own node, and tells the servers what it has checked.

node_prefix "" {
  policy = "write"
}
service_prefix "" {
  policy = "read"
}
