// Made by build/ of the Go types that /api/v1 answers with: make console. It is not to be changed by hand.

export interface AuditEntry {
	type: string
	stream: string
	revision: number
	index: number
	summary: string
	cause?: string
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
}

export interface Cause {
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
	event_type: string
	user_id?: string
	movie_id?: string
	interaction_type?: string
	rating?: number
	offline?: boolean
}

export interface Chain {
	asked: string
	root: Link | null
	events: number
	left_out?: number
	truncated?: boolean
}

export interface Changed {
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
	event_type: string
	user_id?: string
	movie_id?: string
	interaction_type?: string
	rating?: number
	offline?: boolean
	changes: Change[]
}

export interface ConsumerGroup {
	group: string
	lag: number
	committed: string
	partitions: GroupPartition[]
}

export interface DeadLetter {
	dead_letter_id: string
	reactor: string
	position: string
	event_id: string
	error: string
	attempts: number
	state: string
	resolved_reason?: string
	resolved_by?: string
	resolved_millis?: number
	revision: number
	offset: number
	index: number
	created_millis: number
	updated_millis: number
	recorded_millis: number
}

export interface DeployedMark {
	time: string
	model_name: string
	model_version: number
}

export interface Deployment {
	slot: string
	model: string
	version: number
	blob: string
	previous_model?: string
	previous_version?: number
	reason?: string
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
}

export interface DriftAlert {
	model_name: string
	model_version?: string
	drift_score: number
	threshold: number
	timestamp: string
	metrics?: Record<string, number>
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
}

export interface Experiment {
	experiment_id: string
	name: string
	description?: string
	tags?: Record<string, string>
	artifact_location?: string
	deleted?: boolean
	deleted_millis?: number
	purged?: boolean
	revision: number
	offset: number
	index: number
	created_millis: number
	updated_millis: number
	recorded_millis: number
}

export interface Fact {
	user_id: string
	movie_id: string
	interaction_type: string
	rating?: number
	event_millis: number
	recorded_millis: number
	partition: number
	offset: number
	superseded?: boolean
	session_id?: string
	event_id?: string
	source?: string
	title?: string
	year?: number
}

export interface FeatureFigures {
	feature: string
	type: string
	count: number
	nulls: number
	expired?: number
	not_finite?: number
	numbers?: Numbers
	words?: Words
	drift?: Drift
}

export interface FeatureStatistics {
	views: ViewStatistics[]
	against?: Against
	at_millis: number
	definitions_hash: string
}

export interface Film {
	movie_id: string
	title: string
	year?: number
	genres?: string[]
	imdb_id?: string
	tmdb_id?: string
	overview?: string
	language?: string
	runtime_minutes?: number
	release_date?: string
	keywords?: string[]
	poster_path?: string
	popularity?: number
	vote_average?: number
	vote_count?: number
	datasets?: string[]
	simulated?: boolean
	listed?: Movie
	fetched?: Movie
	raw_sha256?: string
	hidden?: Hidden
	revision: number
	offset: number
	index: number
	created_millis: number
	updated_millis: number
	recorded_millis: number
}

export interface FilmRef {
	movie_id: string
	title?: string
	year?: number
}

export interface Foreseen {
	'hr@1': number
	'hr@5': number
	'hr@10': number
	'hr@20': number
	'ndcg@10': number
	served_ahead?: Lead
}

export interface Given {
	request_id: string
	user_id: string
	timestamp: string
	model_name?: string
	model_version?: number
	strategy: string
	cut: string
	rules?: ListRules
	items: GivenItem[]
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
}

export interface GivenItem {
	movie_id: string
	title?: string
	year?: number
	position: number
	score: number
	source?: string
	sources?: Record<string, number>
	because?: FilmRef[]
	propensity: number
}

export interface HistoryTimes {
	facts: number
	complete: boolean
	event: TimesAxis
	recorded: TimesAxis
	most_late?: Act
	kinds: HistoryKind[]
	cells: HistoryTimed[]
}

export interface JudgedAct {
	position: string
	time_millis: number
	user_id?: string
	movie_id?: string
	interaction_type?: string
	of: number
	films: number
	ranks: Record<string, number>
	model_name?: string
	model_version?: number
	judged: Origin
}

export interface Late {
	items: Cause[]
	more?: boolean
	looked_to_millis?: number
}

export interface Lease {
	kind: string
	workflow_run?: string
	workflow?: string
	task?: string
	try?: number
	pool?: string
	pool_slots?: number
	operation?: string
	work?: string
	process: string
	role: string
	since_millis: number
	until_millis?: number
}

export interface Link {
	type: string
	stream: string
	revision: number
	index: number
	summary: string
	cause?: string
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
	asked?: boolean
	then?: Link[]
}

export interface LogRecord {
	position: string
	recorded: string
	type?: string
	time?: string
	stream?: string
	revision?: number
	subject?: string
	actor?: string
	cause?: string
	correlation?: string
	source?: string
	event_id?: string
	key?: string
	data?: unknown
	error?: string
	value?: unknown
}

export interface Model {
	name: string
	key: string
	description?: string
	versions: ModelVersion[]
	aliases?: Record<string, number>
	tags?: Record<string, string>
	deleted?: boolean
	changed_millis?: number
	revision: number
	offset: number
	index: number
	created_millis: number
	updated_millis: number
	recorded_millis: number
}

export interface ModelVersion {
	name: string
	version: number
	run_id: string
	algorithm: string
	params: Record<string, string>
	seed: number
	code_version: string
	dataset_id: string
	dataset_cut: string
	features_hash: string
	blob: string
	bytes: number
	slot?: string
	feature_views: ViewRead[]
	source?: string
	run_link?: string
	location?: string
	description?: string
	tags?: Record<string, string>
	stage: string
	stage_reason?: string
	staged_millis?: number
	updated_millis?: number
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	actor?: string
	correlation?: string
	causation?: string
}

export interface Node {
	node: string
	here?: boolean
	last_millis: number
	processes: Process[]
	holds: Lease[]
}

export interface Nodes {
	items: Node[]
	runs_looked_at: number
}

export interface Operation {
	operation_id: string
	kind: string
	state: string
	actor?: string
	ended_by?: string
	holder: string
	request?: unknown
	result?: unknown
	result_bytes?: number
	error?: string
	started_millis: number
	ended_millis?: number
	revision: number
	offset: number
	index: number
	created_millis: number
	updated_millis: number
	recorded_millis: number
	here: boolean
	progress?: OperationProgress
}

export interface OperationProgress {
	stage: string
	done: number
	total: number
	rate: number
}

export interface Person {
	user_id: string
	age?: number
	gender?: string
	occupation?: string
	zip?: string
	acts: number
	acts_more?: boolean
	first?: Act
	last?: Act
}

export interface Progress {
	workflow_run: string
	workflow: string
	task: string
	reactor: string
	try: number
	started: string
	stage?: string
	done: number
	of: number
}

export interface QualityCurve {
	windows: QualityWindow[]
	total: QualityWindow
	deployments: DeployedMark[]
}

export interface QualityWindow {
	from?: string
	to?: string
	first_act?: number
	last_act?: number
	model_name?: string
	model_version?: number
	acts: number
	judged: number
	no_film: number
	share?: number
	sources: Record<string, Foreseen>
}

export interface Quarantined {
	topic: string
	partition: number
	offset: number
	position: string
	refused?: number
	recorded_millis: number
	reason: string
	key: string
	value: string
	headers?: QuarantinedHeader[]
	state: string
	decision?: QuarantineDecision
}

export interface Reactor {
	reactor: string
	here: boolean
	offset: number
	lag: number
	handled_total: number
	failed_total: number
	dead_lettered_total: number
	error?: string
}

export interface Recommendations {
	user_id?: string
	model_name?: string
	model_version?: number
	strategy?: string
	rules?: ListRules
	cut?: string
	simulated?: boolean
	items?: Recommended[]
	request_id?: string
	position?: string
	recorded: boolean
	unrecorded?: string
	replayed?: boolean
	now_millis?: number
}

export interface Recommended {
	movie_id: string
	title: string
	year?: number
	genres?: string[]
	position?: number
	score: number
	sources?: Record<string, number>
	because?: Reason[]
}

export interface Run {
	run_id: string
	experiment_id: string
	name: string
	status: string
	deleted?: boolean
	deleted_millis?: number
	purged?: boolean
	reason?: string
	actor?: string
	user?: string
	start_millis?: number
	end_millis?: number
	params?: Record<string, string>
	tags?: Record<string, string>
	metrics?: Record<string, Metric>
	artifacts?: Artifact[]
	dataset_id?: string
	workflow_run?: string
	revision: number
	offset: number
	index: number
	created_millis: number
	updated_millis: number
	recorded_millis: number
}

export interface Topic {
	topic: string
	records: number
	partitions: PartitionInfo[]
	relay?: RelayInfo
}

export interface TrainingSet {
	name: string
	version: number
	identity: string
	features_hash: string
	entities_hash: string
	cut: string
	columns: string[]
	known_at_row?: boolean
	exclusive?: boolean
	blob: string
	bytes: number
	rows: number
	feature_views?: ViewJoined[]
	references?: string[]
	revision: number
	offset: number
	index: number
	created_millis: number
	updated_millis: number
	recorded_millis: number
}

export interface ViewStatus {
	view: string
	cut: string
	lag_events: number
	inputs: number
	error?: string
	halted_at?: string
	unread?: boolean
	answers: string[]
}

export interface WorkflowRun {
	run_id: string
	workflow: string
	run_type: string
	conf?: Record<string, string>
	note?: string
	actor?: string
	triggered?: Triggered
	state: string
	reason?: string
	requested_millis: number
	logical_millis: number
	interval_end_millis: number
	requested_offset: number
	started_millis?: number
	ended_millis?: number
	late?: boolean
	sla_missed_millis?: number
	tasks: Task[]
	deleted?: boolean
	revision: number
	offset: number
	index: number
	created_millis: number
	updated_millis: number
	recorded_millis: number
}

export interface Change {
	feature: string
	from: unknown
	to: unknown
}

export interface GroupPartition {
	topic: string
	partition: number
	offset: number
	end: number
	lag: number
}

export interface Numbers {
	min: number
	max: number
	mean?: number
	deviation?: number
	quantiles: Record<string, number>
	distinct: number
	histogram?: Bin[]
}

export interface Words {
	distinct: number
	at_least?: boolean
	items?: number
	top: Word[]
}

export interface Drift {
	js: number
	psi: number
	ks?: number
	threshold: number
	drifted: boolean
	reference: Counted
	too_few?: boolean
}

export interface ViewStatistics {
	view: string
	entities: number
	sampled: number
	found: number
	features: FeatureFigures[]
}

export interface Against {
	name: string
	version: number
	rows: number
	same_definitions: boolean
	compared: number
	drifted: number
}

export interface Movie {
	movie_id: string
	title: string
	year?: number
	genres?: string[]
	imdb_id?: string
	tmdb_id?: string
	overview?: string
	language?: string
	runtime_minutes?: number
	release_date?: string
	keywords?: string[]
	poster_path?: string
	popularity?: number
	vote_average?: number
	vote_count?: number
}

export interface Hidden {
	reason: string
	actor: string
	event_millis: number
}

export interface Lead {
	by: number
	low: number
	high: number
}

export interface ListRules {
	again?: boolean
	exclude?: string[]
	genres?: string[]
	year_from?: number
	year_to?: number
	languages?: string[]
	diversity?: number
	fresh?: number
	offset?: number
}

export interface TimesAxis {
	first_millis: number
	last_millis: number
	bucket_millis: number
}

export interface Act {
	event_millis: number
	recorded_millis: number
	position: string
}

export interface HistoryKind {
	interaction_type: string
	facts: number
	rated: number
	mean_rating?: number
}

export interface HistoryTimed {
	event_millis: number
	recorded_millis: number
	facts: number
	position: string
}

export interface Origin {
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
}

export interface ViewRead {
	feature_view: string
	hash: string
}

export interface Process {
	process: string
	here?: boolean
	roles: string[]
	first_millis: number
	last_millis: number
}

export interface QuarantinedHeader {
	key: string
	value: string
}

export interface QuarantineDecision {
	resolution: string
	by?: string
	reason?: string
	position: string
	event_id: string
	event_millis: number
	recorded_millis: number
	source?: string
	actor?: string
	correlation?: string
	causation?: string
}

export interface Reason {
	movie_id?: string
	title?: string
	score: number
	source: string
}

export interface Metric {
	key: string
	value: unknown
	step: number
	timestamp_millis: number
	model_id?: string
	dataset_name?: string
	dataset_digest?: string
}

export interface Artifact {
	path: string
	blob: string
	bytes: number
	event_millis: number
}

export interface PartitionInfo {
	partition: number
	first_offset: number
	next_offset: number
	records: number
	bytes?: number
}

export interface RelayInfo {
	copied: number
	behind: number
	error?: string
}

export interface ViewJoined {
	feature_view: string
	hash: string
	version: number
}

export interface Triggered {
	trigger: string
	event_id: string
	type: string
	position: string
	counted: number
	cut: string
}

export interface Task {
	task: string
	state: string
	try: number
	holder?: string
	lease_until_millis?: number
	checkpoint?: string
	output?: Record<string, string>
	error?: string
	retry_at_millis?: number
	started_millis?: number
	ended_millis?: number
	note?: string
	sla_missed_millis?: number
	tries?: Try[]
}

export interface Bin {
	from: number
	to: number
	count: number
}

export interface Word {
	value: string
	count: number
}

export interface Counted {
	rows: number
	nulls: number
	mean?: number
}

export interface Try {
	try: number
	holder: string
	state: string
	error?: string
	started_millis: number
	ended_millis?: number
	log?: string
	log_bytes?: number
}

