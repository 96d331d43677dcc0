module movieexample.com/test/servers/consul

go 1.26

require github.com/hashicorp/consul v1.22.2
