# The service `order`, for a process that does not register itself: consul services register deploy/consul/services/order.hcl
#
# The address is that of the agent, and the port that of the process; it must be the one in its settings. A process that registers itself
# needs none of this, and should not have it: it would be there twice.

service {
  name = "order"
  id   = "order"
  port = 50051
  meta {
    protocol = "grpc"
    role     = "order"
  }
  check {
    id                                = "order:grpc"
    name                              = "order grpc"
    grpc                              = "127.0.0.1:50051"
    interval                          = "5s"
    timeout                           = "2s"
    deregister_critical_service_after = "10m"
  }
}
