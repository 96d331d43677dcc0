// Package discovery finds the instances of services.
//
// Instances register with a [Registry] ([Registry.Register]). It
// serves clients through gRPC's resolver: pass [Registry.Resolver] to rpc.Dial and
// dial [Registry.Target] of the service. A spec, one line of configuration, selects the
// kind of registry:
//
//	memory                    the instances that this process registers; no other process sees them
//	static:FILE               a file that lists them, read again when it changes
//	dns://[SERVER]/NAME       A, AAAA or SRV records, looked up every few seconds
//	consul://HOST:PORT        a Consul agent
//
// Parameters follow "?"; a wrong one is an error that names it.
//
// # static
//
// The file is YAML, which includes JSON: a list of host:port for each service.
//
//	metadata: [10.0.0.5:8081]
//	rating:
//	  - 10.0.0.5:8082
//	  - 10.0.0.6:8082
//
// It is read every second, and used once two reads agree: a change takes effect within two
// seconds, and a file is not used while it is being written, unless the writer pauses. Renaming
// a new file into place is always safe. An invalid file is logged once, with the reason, and
// changes nothing. An empty file is invalid, because a file that is being rewritten is empty at
// first; write {} for no services. Register does nothing.
//
// # dns
//
// NAME has {service} where the service's name goes, and may end in a port:
//
//	dns:///{service}.movies.svc.cluster.local:8080       A and AAAA records; one port for all
//	dns:///{service}.movies.svc.cluster.local            A and AAAA records; the port of Options.Ports
//	dns:///_grpc._tcp.{service}.movies.svc.cluster.local  SRV records, which say host and port
//	dns://127.0.0.1:8053/{service}.example:8080          looked up at this name server
//
// In Kubernetes NAME is the name of a headless Service; for SRV records its port is
// named grpc. An instance is an IPv4 address where the name has any, else an IPv6
// address; the priorities and weights of SRV records do not matter, all instances
// are peers. Parameter interval is the time between two lookups, from 1s to 1m, by
// default 3s; after a lost connection the next lookup comes sooner. A name server that
// does not answer, or answers with a failure, changes nothing; "no such name" and "no
// such records" mean that there is no instance. Records should have a TTL of a few
// seconds: a resolver in between may answer from its cache for that long. Register
// does nothing.
//
// # consul
//
// Every instance registers under its service's name, as SERVICE-HOST-PORT, with the
// tag version=…, and with a gRPC health check that the agent makes. A registration that
// the agent lost is repeated within seconds; an instance that died without
// deregistering is removed by Consul minutes later. Changes arrive by blocking
// queries. Parameters:
//
//	tls=true          HTTPS
//	ca_file=F         PEM certificates of the authorities to trust, instead of the system's
//	cert_file=F       PEM certificate to show, with key_file=F; read again for each connection
//	server_name=N     the name that the agent's certificate must have, instead of HOST
//	token_file=F      the ACL token, read again for each request; it needs service:write for
//	                  its own service, service:read for those it calls, and node:read
//	datacenter=N      where to look services up, instead of the agent's own datacenter
//
// Consul's own environment variables (CONSUL_HTTP_TOKEN …) set parameters that the spec leaves out.
//
// # Promises
//
// A registry lists instances. Clients find out which ones serve, from their connections and grpc.health.v1, within moments. So a
// registry may be late, wrong or unreachable:
//
// While it is unreachable, the last known instances are used, also by connections that wake from idleness. After a failure, instances
// may be about to register again; those that are missing are dropped only after some seconds of answers without them (10 s with
// Consul, 5 s with DNS, at once with a file).
//
// Consul's checks are used only to leave out instances that hang without losing their connections, and only while there are others:
// an agent that considers all instances critical cannot take a service down.
//
// A service without instances is an UNAVAILABLE error that names the service. Calls succeed again as soon as there is one, without a
// new dial. A service is looked up once for the whole process, from the first connection to it until [Registry.Close].
//
// Metrics, by service: movieexample_discovery_instances, movieexample_discovery_stale, movieexample_discovery_registered and
// movieexample_discovery_foreign_instances. The number of instances that calls can be sent to is a metric of the connection:
// movieexample_grpc_client_usable_instances. The log has a line for each change of the instances and for the end and the return of
// the registry, not for each request.
//
// # Refusals
//
// It refuses global state: no resolver is registered for the whole process, so that
// two systems in one process (a test's) cannot find each other's instances. It
// refuses to fail a start because a registry is unreachable: registration is retried
// until it succeeds.
package discovery
