package api

// PastKeptMax is for tests from outside.
const PastKeptMax = pastKeptMax
