// Package world simulates people who watch invented films, so that the program has something to show and
// to learn from where there is no real data. Nothing in it is real, and all of it says so: [Source] marks
// its facts, and every film's Source is "simulated".
//
// The model, in short. Films and people are vectors over the same few dimensions, built from genres. A
// person's taste drifts towards a goal that is replaced every few months. What people get to see is biased:
// films are put before them in proportion to their appeal, their newness and how much they have been
// clicked on lately, so that the popular become more popular and new films trend. Among a handful of
// such films the person chooses by taste (a multinomial logit), opens, perhaps plays, rates or likes it.
// People come in sessions, by their own hours of the day.
//
// A world is a function of its [Params]: the same ones give the same films and interactions on the same
// processor architecture (others may round math.Exp differently).
package world
