# A Consul server that refuses whoever it does not know: consul agent -config-file=deploy/consul/server.hcl -config-dir=/etc/consul.d
#
# Works as it is with Consul 1.8.7, which the tests start it with. Three of these make a cluster that survives the loss of one: set
# `bootstrap_expect = 3` and `retry_join` in a file of your own in /etc/consul.d, which is read after this one.
#
# Certificates, in the folder below, are those that Consul's own tool makes:
#   consul tls ca create
#   consul tls cert create -server
#   consul tls cert create -client        (one for each program of the platform: `discovery.consul.tls`)
# From Consul 1.12 on the same can be said as tls { defaults { ca_file cert_file key_file verify_incoming verify_outgoing } }.
#
# Tokens are made after the first start, with the one that `consul acl bootstrap` prints:
#   consul acl policy create -name order -rules @deploy/consul/policies/order.hcl
#   consul acl token create -policy-name order      (its SecretID goes into the file that `token_file` names)

server           = true
bootstrap_expect = 1
data_dir         = "/var/lib/consul"

# Plain HTTP is off: tokens would be readable on the line. Over TLS all watches of a program share one connection.
ports {
  http  = -1
  https = 8501
}

ca_file                = "/etc/consul.d/tls/consul-agent-ca.pem"
cert_file              = "/etc/consul.d/tls/dc1-server-consul-0.pem"
key_file               = "/etc/consul.d/tls/dc1-server-consul-0-key.pem"
verify_incoming        = true
verify_outgoing        = true
verify_server_hostname = true

# Whoever has no token sees nothing: Consul answers an empty list and no error, which `discovery` tells from the truth.
acl {
  enabled                  = true
  default_policy           = "deny"
  enable_token_persistence = true
}

# Checks are registered by programs, with a token, and are gRPC or TTL; scripts would let whoever has it run anything here.
enable_script_checks = false

# Watches come in once a minute for each service that a program calls; this is for many programs behind one address.
limits {
  http_max_conns_per_client = 400
}

dns_config {
  # For those who find services by DNS: an answer may be used for this long.
  service_ttl {
    "*" = "5s"
  }
}
