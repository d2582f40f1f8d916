// Package dataset reads the published rating data sets (MovieLens in its three layouts,
// MovieTweetings) from a folder or a zip archive, or a csv file whose columns are named, and yields films and
// ratings in one shape. It knows nothing of the log, writes no file, and never holds more of an archive than a
// read buffer, except for the films.
package dataset
