# The Consul agent beside the programs of one machine: consul agent -config-file=deploy/consul/agent.hcl -config-dir=/etc/consul.d
#
# Programs register with the agent on their machine, which checks them; so they die with it, and never stand twice in the catalog. In
# /etc/consul.d, a file of your own says `retry_join = ["SERVER"]` and `acl { tokens { agent = "..." } }`, a token with
# deploy/consul/policies/agent.hcl.

server   = false
data_dir = "/var/lib/consul"

ports {
  http  = -1
  https = 8501
}

ca_file                = "/etc/consul.d/tls/consul-agent-ca.pem"
cert_file              = "/etc/consul.d/tls/dc1-client-consul-0.pem"
key_file               = "/etc/consul.d/tls/dc1-client-consul-0-key.pem"
verify_incoming        = true
verify_outgoing        = true
verify_server_hostname = true

acl {
  enabled                  = true
  default_policy           = "deny"
  # What the agent knows goes on while the servers are away.
  down_policy              = "extend-cache"
  enable_token_persistence = true
}

enable_script_checks = false
