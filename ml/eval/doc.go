// Package eval judges recipes on a data set by the protocols that papers and practice use, each beside what counting
// alone does. It is pure: the same acts, options and code give the same figures to the bit, on any number of cores.
//
// # Protocols
//
//   - leave-one-out: of each person the last film they met is held out and ranked, among 100 films they never met
//     (He et al. 2017) and among all. Every rating counts as liking, and all are asked at the end of the training part.
//   - next-item: the same films, ranked among all as of the moment they were met (Kang, McAuley 2018).
//   - time-split: the last tenth in time is held out. Everybody in it is asked at the cut; what counts is every film that
//     they then met for the first time and liked. Strangers are among them, as in practice.
//   - strong-generalisation: a tenth of the people are held out whole. Four fifths of what they liked (4 stars and more)
//     make them known to the ranking, which was trained without them; the rest counts (Liang et al. 2018).
//   - rating: five folds of the ratings, each predicted from the others.
//   - prequential: test, then learn, in time order, of the ranking as it is served: before a person meets a film they are
//     about to like, all films they have not met are ranked; then the online model learns the act. Models are trained
//     again at set places. prequential-top is the same of a stream that has nothing but the highest ratings.
//
// # Honesty
//
// No act that is judged is in what the recipe is trained on, nor in what the ranking sees ([Data] is checked as it
// is split, not only in tests). Of equal scores the judged film has the last place, and one with NaN too: a model that
// says the same of all films gets nothing. Where parameters are chosen, they are on a split of the training part alone, by
// the same protocol. Intervals are over people, see [recipe.Estimate].
package eval
