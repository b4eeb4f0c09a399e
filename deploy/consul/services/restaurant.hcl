# The service `restaurant`, for a process that does not register itself: consul services register deploy/consul/services/restaurant.hcl
#
# The address is that of the agent, and the port that of the process; it must be the one in its settings. A process that registers itself
# needs none of this, and should not have it: it would be there twice.

service {
  name = "restaurant"
  id   = "restaurant"
  port = 50053
  meta {
    protocol = "grpc"
    role     = "restaurant"
  }
  check {
    id                                = "restaurant:grpc"
    name                              = "restaurant grpc"
    grpc                              = "127.0.0.1:50053"
    interval                          = "5s"
    timeout                           = "2s"
    deregister_critical_service_after = "10m"
  }
}
