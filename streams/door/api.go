package door

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka's error codes that the door answers with.
const (
	codeNone                   = 0
	codeUnknown                = -1
	codeOffsetOutOfRange       = 1
	codeCorruptMessage         = 2
	codeUnknownTopic           = 3
	codeMessageTooLarge        = 10
	codeOffsetMetadataTooLarge = 12
	codeCoordinatorUnavailable = 15
	codeInvalidTopic           = 17
	codeInvalidAcks            = 21
	codeIllegalGeneration      = 22
	codeInconsistentProtocol   = 23
	codeInvalidGroupID         = 24
	codeUnknownMember          = 25
	codeInvalidSessionTimeout  = 26
	codeRebalanceInProgress    = 27
	codeSASLMechanism          = 33
	codeIllegalSASLState       = 34
	codeUnsupportedVersion     = 35
	codeTopicExists            = 36
	codeInvalidRequest         = 42
	codePolicyViolation        = 44
	codeOutOfOrderSequence     = 45
	codeInvalidProducerEpoch   = 47
	codeTransactionalForbidden = 53
	codeStorage                = 56
	codeSASLFailed             = 58
	codeNonEmptyGroup          = 68
	codeGroupNotFound          = 69
	codeUnsupportedCompression = 76
	codeMemberIDRequired       = 79
	codeGroupFull              = 81
	codeFencedInstance         = 82
	codeGroupSubscribed        = 86
	codeInvalidRecord          = 87
)

// versions is one API and what is spoken of it.
type versions struct{ key, min, max int16 }

const (
	keyProduce                = 0
	keyFetch                  = 1
	keyListGroups             = 16
	keySASLHandshake          = 17
	keyApiVersions            = 18
	keySASLAuthenticate       = 36
	keyConsumerGroupHeartbeat = 68
)

// apis are the APIs and versions advertised; anything else closes the connection. kmsg reads as many
// tags as a client announces, up to 2³²: only non-flexible versions, which have none, are spoken. The
// exceptions are in flexible.go.
var apis = []versions{
	{keyProduce, 3, 8},
	{keyFetch, 4, 11},
	{2, 1, 5},  // ListOffsets
	{3, 0, 8},  // Metadata
	{8, 2, 7},  // OffsetCommit
	{9, 1, 5},  // OffsetFetch
	{10, 0, 2}, // FindCoordinator
	{11, 2, 5}, // JoinGroup
	{12, 0, 3}, // Heartbeat
	{13, 0, 3}, // LeaveGroup
	{14, 0, 3}, // SyncGroup
	{15, 0, 4}, // DescribeGroups
	{keyListGroups, 0, 5},
	{keyApiVersions, 0, 3},
	{19, 2, 4},                        // CreateTopics, refused
	{22, 0, 1},                        // InitProducerId
	{29, 0, 1},                        // DescribeAcls, of which there are none
	{32, 1, 3},                        // DescribeConfigs
	{35, 0, 1},                        // DescribeLogDirs
	{42, 0, 1},                        // DeleteGroups
	{47, 0, 0},                        // OffsetDelete
	{keyConsumerGroupHeartbeat, 0, 1}, // refused
}

// saslAPIs are advertised where there are users.
var saslAPIs = []versions{
	{keySASLHandshake, 0, 1},
	{keySASLAuthenticate, 0, 1},
}

// checkVersions panics if a flexible version has slipped into the table.
func checkVersions() {
	for _, list := range [][]versions{apis, saslAPIs} {
		for _, v := range list {
			r := kmsg.RequestForKey(v.key)
			r.SetVersion(v.max)
			if r.IsFlexible() && !readFlexible[v.key] {
				panic(fmt.Sprintf("version %d of API %s is flexible", v.max, kmsg.NameForKey(v.key)))
			}
		}
	}
}

func (c *conn) supports(key, version int16) bool {
	for _, list := range c.spoken() {
		for _, v := range list {
			if v.key == key {
				return version >= v.min && version <= v.max
			}
		}
	}
	return false
}

func (c *conn) spoken() [][]versions {
	if len(c.d.cfg.Users) > 0 {
		return [][]versions{apis, saslAPIs}
	}
	return [][]versions{apis}
}

// apiVersions answers ApiVersions; one that is too new gets the oldest form and an error, as Kafka does.
func (c *conn) apiVersions(version int16) kmsg.Response {
	r := kmsg.NewApiVersionsResponse()
	r.Version = version
	if !c.supports(keyApiVersions, version) {
		r.Version, r.ErrorCode = 0, codeUnsupportedVersion
	}
	for _, list := range c.spoken() {
		for _, v := range list {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MinVersion, k.MaxVersion = v.key, v.min, v.max
			r.ApiKeys = append(r.ApiKeys, k)
		}
	}
	return &r
}

// handle answers a request that is neither Produce, Fetch nor of the handshake.
func (c *conn) handle(req kmsg.Request) kmsg.Response {
	d, g := c.d, c.d.groups
	switch req := req.(type) {
	case *kmsg.ListOffsetsRequest:
		return d.listOffsets(req)
	case *kmsg.MetadataRequest:
		return d.metadata(req)
	case *kmsg.FindCoordinatorRequest:
		return d.findCoordinator(req)
	case *kmsg.InitProducerIDRequest:
		return d.initProducerID(req)
	case *kmsg.DescribeConfigsRequest:
		return d.describeConfigs(req)
	case *kmsg.CreateTopicsRequest:
		return d.createTopics(req)
	case *kmsg.OffsetCommitRequest:
		return g.offsetCommit(req)
	case *kmsg.OffsetFetchRequest:
		return g.offsetFetch(req)
	case *kmsg.SyncGroupRequest:
		return g.sync(c, req)
	case *kmsg.HeartbeatRequest:
		return g.heartbeat(req)
	case *kmsg.LeaveGroupRequest:
		return g.leave(req)
	case *kmsg.DescribeGroupsRequest:
		return g.describe(req)
	case *kmsg.ListGroupsRequest:
		return g.list(req)
	case *kmsg.OffsetDeleteRequest:
		return g.offsetDelete(req)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return g.refuseHeartbeat()
	case *kmsg.DescribeLogDirsRequest:
		return d.describeLogDirs(req)
	case *kmsg.DescribeACLsRequest:
		return kmsg.NewPtrDescribeACLsResponse()
	case *kmsg.DeleteGroupsRequest:
		return g.delete(req)
	}
	return nil
}
