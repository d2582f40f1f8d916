// Package workflow is what a workflow is: definitions that people write, and the pure rules by which a run goes through them.
// It starts nothing: handlers/react does.
//
// definition.go and document.go read a definition and say what is wrong with it; operator.go is what tasks can be made of;
// schedule.go and cron.go say when a workflow runs by itself;
// reference.go has the references and conditions that stand in one; graph.go says which task is in which state.
package workflow
