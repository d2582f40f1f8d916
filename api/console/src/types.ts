// What /api/v1 answers, as the pages read it.

export interface Page<T> { items: T[]; next_cursor?: string }

export interface Origin { position: string; event_id: string; event_millis: number; recorded_millis: number; source?: string; actor?: string; correlation?: string; causation?: string }
export interface Stamp { revision: number; offset: number; created_millis: number; updated_millis: number; recorded_millis: number }

export interface AuditEntry extends Origin { type: string; stream: string; revision: number; index: number; summary: string; cause?: string }
export interface Link extends AuditEntry { asked?: boolean; then?: Link[] }
export interface Chain { asked: string; root: Link; events: number; left_out?: number; truncated?: boolean }

export interface LogRecord {
	position: string; recorded: string; type?: string; time?: string; stream?: string; revision?: number; subject?: string; actor?: string
	cause?: string; correlation?: string; source?: string; event_id?: string; key?: string; data?: unknown; error?: string; value?: unknown
}
export interface Topic { topic: string; records: number; partitions: { partition: number; first_offset: number; next_offset: number; records: number }[]; relay?: { copied: number; behind: number; error?: string } }

export interface Deployment extends Origin { slot: string; model: string; version: number; reason?: string; previous_model?: string; previous_version?: number; serving?: boolean }
export interface ModelVersion extends Origin {
	name: string; version: number; run_id: string; algorithm: string; params: Record<string, string> | null; seed: number; code_version: string; dataset_id: string; dataset_cut: string; features_hash: string
	blob: string; bytes: number; slot?: string; stage: string; stage_reason?: string; staged_millis?: number; description?: string; tags?: Record<string, string>; source?: string
}
export interface Model extends Stamp { name: string; key: string; description?: string; versions: ModelVersion[]; aliases?: Record<string, number>; tags?: Record<string, string>; deleted?: boolean }

export interface Metric { key: string; value: number | string; step: number; timestamp_millis: number }
export interface Run extends Stamp {
	run_id: string; experiment_id: string; name: string; status: string; deleted?: boolean; reason?: string; actor?: string; user?: string; start_millis?: number; end_millis?: number
	params?: Record<string, string>; tags?: Record<string, string>; metrics?: Record<string, Metric>; artifacts?: { path: string; blob: string; bytes: number; event_millis: number }[]; dataset_id?: string; workflow_run?: string
}
export interface Experiment extends Stamp { experiment_id: string; name: string; deleted?: boolean }

export interface Try { try: number; holder: string; state: string; error?: string; started_millis: number; ended_millis?: number; log?: string; log_bytes?: number }
export interface Task { task: string; state: string; try: number; holder?: string; output?: Record<string, string>; error?: string; retry_at_millis?: number; started_millis?: number; ended_millis?: number; note?: string; tries?: Try[] }
export interface WorkflowRun extends Stamp {
	run_id: string; workflow: string; run_type: string; conf?: Record<string, string>; note?: string; actor?: string; triggered?: { trigger: string; event_id: string; type: string; position: string; counted: number }
	state: string; reason?: string; requested_millis: number; logical_millis: number; started_millis?: number; ended_millis?: number; late?: boolean; tasks: Task[]
}
export interface Param { name: string; type: string; description?: string; default: string | null; minimum?: number; maximum?: number; enum?: string[] }
export interface WorkflowTask { name: string; operator: string; description: string; needs: string[] | null; trigger_rule: string; retries: number; pool: string }
export interface Workflow extends Stamp { name: string; description?: string; paused?: boolean; tags?: string[] | null; params?: Param[] | null; tasks?: WorkflowTask[]; schedule?: string; timezone?: string; next_millis?: number; error?: string }

export interface ViewStatus { view: string; cut: string; lag_events: number; inputs: number; error?: string; halted_at?: string; unread?: boolean; answers?: string[] }
export interface Reactor { reactor: string; here: boolean; offset: number; lag: number; handled_total: number; failed_total: number; dead_lettered_total: number; error?: string }
export interface Progress { workflow_run: string; workflow: string; task: string; reactor: string; try: number; started: string; stage?: string; done: number; of: number }
export interface DeadLetter extends Stamp { dead_letter_id: string; reactor: string; state: string; error: string; event_id?: string; position?: string; attempts: number; resolved_reason?: string; resolved_by?: string; resolved_millis?: number }
export interface Quarantined { topic: string; partition: number; offset: number; position: string; recorded_millis: number; reason: string; refused?: number }

export interface Reason { movie_id?: string; title?: string; score: number; source: string }
export interface Recommended { movie_id: string; title: string; year?: number; genres?: string[]; score: number; sources?: Record<string, number>; because?: Reason[] }
export interface Recommendations { user_id: string; model_name?: string; model_version?: number; strategy: string; cut: string; simulated?: boolean; items: Recommended[]; replayed?: boolean; now_millis?: number }

// Of people and films.
export interface User { user_id: string; age?: number; gender?: string; occupation?: string; zip?: string }
export interface Act { event_millis: number; recorded_millis: number; position: string }
export interface Person extends User { acts: number; acts_more?: boolean; first?: Act; last?: Act }
export interface Fact { user_id: string; movie_id: string; title?: string; year?: number; interaction_type: string; rating?: number; event_millis: number; recorded_millis: number; partition: number; offset: number; superseded?: boolean }
export interface TimesAxis { first_millis: number; last_millis: number; bucket_millis: number }
export interface HistoryTimes {
	facts: number; complete: boolean; event: TimesAxis; recorded: TimesAxis; most_late?: Act; kinds: { interaction_type: string; facts: number; rated: number; mean_rating?: number }[]
	cells: { event_millis: number; recorded_millis: number; facts: number; position: string }[]
}
export interface FilmRef { movie_id: string; title?: string; year?: number }
export interface Given extends Origin { request_id: string; strategy: string; model_name?: string; model_version?: number; items: (FilmRef & { position: number; score: number; source?: string; because?: FilmRef[] })[] }
export interface Film extends Stamp {
	movie_id: string; title: string; year?: number; genres?: string[]; imdb_id?: string; tmdb_id?: string; overview?: string; language?: string; runtime_minutes?: number; release_date?: string; keywords?: string[]
	vote_average?: number; vote_count?: number; datasets?: string[]; simulated?: boolean; hidden?: { reason: string; actor: string; event_millis: number }
}
// Features.
export interface Field { name: string; type: string }
export interface Feature extends Field { aggregation?: string; kinds?: string[]; window_days?: number; half_life_days?: number; prior_mean?: number; prior_count?: number; genre?: string; of?: string; k?: number; expression?: string; description?: string }
export interface FeatureView { name: string; entity?: string; entities?: string[]; join_keys?: Field[]; project?: string; push_source?: string; ttl_millis?: number; inputs?: { name: string; feature: string }[]; request?: Field[]; description?: string; features: Feature[] }
export interface FeatureService { name: string; features: string[]; description?: string }
export interface FeatureVersion { feature_view: string; version: number; hash: string; kind: string; features: number; in_force: boolean; definitions_hash?: string; position: string; event_millis: number; recorded_millis: number; definition?: FeatureView }
export interface FeatureDefinitions extends Origin { definitions: string; hash: string; revision: number }
export interface Cause extends Origin { event_type: string; user_id?: string; movie_id?: string; interaction_type?: string; rating?: number; offline?: boolean }
export interface Changed extends Cause { changes: { feature: string; from: unknown; to: unknown }[] }
export interface Sourced { feature: string; type: string; value: unknown; status: string; by?: Cause & { from: unknown; to: unknown } }
export interface FeatureRow { feature_view: string; entity_key: string; at_millis: number; known_millis?: number; definitions_hash: string; features: Sourced[]; looked_to_millis?: number }
export interface Late { items: Cause[]; more?: boolean; looked_to_millis?: number }
export interface FeatureSeries { times: number[]; features: { feature: string; type: string; values: unknown[] }[] }
export interface FeatureFigures {
	feature: string; type: string; count: number; nulls: number; expired?: number
	numbers?: { min: number; max: number; mean?: number; quantiles: Record<string, number>; distinct: number; histogram?: { from: number; to: number; count: number }[] }
	words?: { distinct: number; at_least?: boolean; top: { value: string; count: number }[] }
	drift?: { js: number; psi: number; ks?: number; threshold: number; drifted: boolean; too_few?: boolean }
}
export interface FeatureStatistics { views: { view: string; entities: number; sampled: number; found: number; features: FeatureFigures[] }[]; against?: { name: string; version: number; rows: number; same_definitions: boolean; compared: number; drifted: number } }
export interface TrainingSet { name: string; version: number; rows: number }

// Quality and serving.
export interface Foreseen { 'hr@1': number; 'hr@5': number; 'hr@10': number; 'hr@20': number; 'ndcg@10': number; served_ahead?: { by: number; low: number; high: number } }
export interface QualityWindow { from?: string; to?: string; model_name?: string; model_version?: number; acts: number; judged: number; no_film: number; share?: number; sources: Record<string, Foreseen> }
export interface DeployedMark { time: string; model_name: string; model_version: number }
export interface QualityCurve { windows: QualityWindow[]; total: QualityWindow; deployments: DeployedMark[] }
export interface JudgedAct { position: string; time_millis: number; user_id?: string; movie_id?: string; interaction_type?: string; of: number; films: number; ranks: Record<string, number>; model_name?: string; model_version?: number; judged: Origin }
export interface Engaged { lists: number; lists_taken_up: number; films: number; films_liked: number; films_disliked: number; films_met: number; click_rate?: number; satisfaction?: number; mean_rating?: number; hit_rate_at?: Record<string, number> }
export interface EngagedDay extends Engaged { day: string; model_name?: string; model_version?: number }
export interface LatencySteps { total: Quantiles; steps: (Quantiles & { time_millis: number })[] }
export interface Quantiles { count: number; p50: number; p95: number; p99: number }
export interface DriftAlert extends Origin { model_name: string; model_version?: string; drift_score: number; threshold: number; metrics?: Record<string, number> }
export interface OperationProgress { stage: string; done: number; total: number; rate: number }
export interface Operation extends Stamp {
	operation_id: string; kind: string; state: string; actor?: string; ended_by?: string; holder: string; request?: Record<string, unknown>; result?: unknown; result_bytes?: number; error?: string
	started_millis: number; ended_millis?: number; here?: boolean; progress?: OperationProgress
}
export interface ConsumerGroup { group: string; lag: number; committed: string; partitions: { topic: string; partition: number; offset: number; end: number; lag: number }[] }
