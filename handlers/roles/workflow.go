package roles

import "github.com/projectionist/projectionist/handlers/react"

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

// Workflows are all workflows there are, for [react.Config] and for people.
func Workflows() []react.Workflow {
	return []react.Workflow{
		{Name: TrainingPipeline, Description: "Trains a model on the log as it stands, judges it, and promotes it if it is good enough", Tasks: []react.WorkflowTask{
			{Name: taskPrepare, Reactor: nameFeaturizer, Description: "Pins the position in the log and materialises the training set"},
			{Name: taskTrain, Reactor: nameTrainer, Description: "Trains the model by its recipe, and the neural baseline beside it"},
			{Name: taskEvaluate, Reactor: nameEvaluator, Description: "Judges the recipe against the baselines, and against what serves, on the last part of the data"},
			{Name: taskRegister, Reactor: nameRegistrar, Description: "Registers the model version, with all it takes to train it again"},
			{Name: taskPromote, Reactor: namePromoter, Description: "Promotes and deploys the version, or keeps the present one and says why"},
		}},
		{Name: DataCollection, Description: "Fetches films from TMDB and writes what people watched as a table", Tasks: []react.WorkflowTask{
			{Name: taskFetch, Reactor: nameIngester, Description: "Fetches popular and top rated films with their details from TMDB"},
			{Name: taskProcess, Reactor: nameIngester, Description: "Writes data/processed/watch_log.csv from the log"},
		}},
	}
}
