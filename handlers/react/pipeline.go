package react

import "slices"

// Names of the workflows and of their tasks. They are in the log: never change one.
const (
	TrainingPipeline = "movie_training_pipeline"
	DataCollection   = "movie_data_collection"

	taskPrepare  = "prepare_training_data"
	taskTrain    = "train_movie_model"
	taskEvaluate = "evaluate_trained_model"
	taskRegister = "register_model_to_mlflow"
	taskPromote  = "promote_model"

	taskFetch   = "fetch_movies"
	taskProcess = "process_movies"
)

// Names of the reactors.
const (
	nameTrigger    = "trigger"
	nameIngester   = "ingester"
	nameFeaturizer = "featurizer"
	nameTrainer    = "trainer"
	nameEvaluator  = "evaluator"
	nameRegistrar  = "registrar"
	namePromoter   = "promoter"
)

// Workflow is a chain of tasks: each starts when the one before it has succeeded.
type Workflow struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Tasks       []WorkflowTask `json:"tasks"`
}

// WorkflowTask is one task, and the reactor that works on it. Names are unique over all workflows.
type WorkflowTask struct {
	Name        string `json:"name"`
	Reactor     string `json:"reactor"`
	Description string `json:"description"`
}

var workflows = []Workflow{
	{TrainingPipeline, "Trains a model on the log as it stands, judges it, and promotes it if it is good enough", []WorkflowTask{
		{taskPrepare, nameFeaturizer, "Pins the position in the log and materialises the training set"},
		{taskTrain, nameTrainer, "Trains the factorisation, and the neural baseline beside it"},
		{taskEvaluate, nameEvaluator, "Judges the recipe against the baselines on the last part of the data"},
		{taskRegister, nameRegistrar, "Registers the model version, with all it takes to train it again"},
		{taskPromote, namePromoter, "Promotes and deploys the version, or keeps the present one and says why"},
	}},
	{DataCollection, "Fetches films from TMDB and writes what people watched as a table", []WorkflowTask{
		{taskFetch, nameIngester, "Fetches popular and top rated films with their details from TMDB"},
		{taskProcess, nameIngester, "Writes data/processed/watch_log.csv from the log"},
	}},
}

// Workflows are all workflows there are. They are the caller's to keep.
func Workflows() []Workflow {
	all := slices.Clone(workflows)
	for i := range all {
		all[i].Tasks = slices.Clone(all[i].Tasks)
	}
	return all
}

func workflowOf(name string) *Workflow {
	for i := range workflows {
		if workflows[i].Name == name {
			return &workflows[i]
		}
	}
	return nil
}

// first is the first task of a workflow; nil for no such workflow.
func first(workflow string) *WorkflowTask {
	if w := workflowOf(workflow); w != nil {
		return &w.Tasks[0]
	}
	return nil
}

// after is the task that follows; nil after the last.
func after(task string) *WorkflowTask {
	for i := range workflows {
		tasks := workflows[i].Tasks
		for j := range tasks {
			if tasks[j].Name == task && j+1 < len(tasks) {
				return &tasks[j+1]
			}
		}
	}
	return nil
}
