package roles

// DecodeDataset is for tests of what the featurizer keeps.
var DecodeDataset = decodeDataset
