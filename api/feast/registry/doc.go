// Package registry is Feast's registry, as its clients ask for it (registry_type: remote): the gRPC service
// feast.registry.RegistryServer. What they apply becomes events, and what they list is a fold of those, with the features
// that this program computes among them.
//
// gRPC is HTTP/2 with a frame around each message and a status in the trailer. A call here is one message each way, so
// that the service is a surface like any other: its listener speaks HTTP/2 without TLS, and credentials, limits, figures and
// the end of the process are those of all of them.
package registry
