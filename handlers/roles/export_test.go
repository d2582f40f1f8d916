package roles

// DecodeDataset is for tests of what the featurizer keeps.
var DecodeDataset = decodeDataset

// WatchLogMemory is for a test with less of it.
var WatchLogMemory = &watchLogMemory
