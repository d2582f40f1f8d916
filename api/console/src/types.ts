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

export interface ViewStatus { view: string; cut: string; lag_events: number; inputs: number; error?: string }
export interface Reactor { reactor: string; here: boolean; offset: number; lag: number; handled_total: number; failed_total: number; dead_lettered_total: number; error?: string }
export interface Progress { workflow_run: string; workflow: string; task: string; reactor: string; try: number; started: string; stage?: string; done: number; of: number }
export interface DeadLetter extends Stamp { dead_letter_id: string; reactor: string; state: string; error: string; event_id?: string; position?: string; attempts: number; resolved_reason?: string; resolved_by?: string; resolved_millis?: number }
export interface Quarantined { topic: string; partition: number; offset: number; position: string; recorded_millis: number; reason: string; refused?: number }

export interface Reason { movie_id?: string; title?: string; score: number; source: string }
export interface Recommended { movie_id: string; title: string; year?: number; genres?: string[]; score: number; sources?: Record<string, number>; because?: Reason[] }
export interface Recommendations { user_id: string; model_name?: string; model_version?: number; strategy: string; cut: string; simulated?: boolean; items: Recommended[]; replayed?: boolean; now_millis?: number }

export interface OperationProgress { stage: string; done: number; total: number; rate: number }
export interface Operation extends Stamp {
	operation_id: string; kind: string; state: string; actor?: string; ended_by?: string; holder: string; request?: Record<string, unknown>; result?: unknown; result_bytes?: number; error?: string
	started_millis: number; ended_millis?: number; here?: boolean; progress?: OperationProgress
}
export interface ConsumerGroup { group: string; lag: number; committed: string; partitions: { topic: string; partition: number; offset: number; end: number; lag: number }[] }
