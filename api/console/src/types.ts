// What /api/v1 answers, as the pages read it: what Go says of it, and here what that does not say.
import type * as Go from './api.gen'
import type { Cause, Link, Origin, Recommended } from './api.gen'
import type { Exact } from './exact'

export type * from './api.gen'

// What is never null or left out, and values that have a form of their own in JSON.
export interface Chain extends Go.Chain { root: Link }
export type ModelVersion = Omit<Go.ModelVersion, 'seed'> & { seed: number | Exact } // Exact where it is read so
export type Model = Omit<Go.Model, 'versions'> & { versions: ModelVersion[] }
export type Run = Omit<Go.Run, 'metrics'> & { metrics?: Record<string, Metric> }
export type Recommendations = Go.Recommendations & { user_id: string; strategy: string; items: Recommended[] }

export interface Page<T> { items: T[]; next_cursor?: string }

export interface Stamp { revision: number; offset: number; created_millis: number; updated_millis: number; recorded_millis: number }

export interface Metric { key: string; value: number | string; step: number; timestamp_millis: number }

export interface Param { name: string; type: string; description?: string; default: string | null; minimum?: number; maximum?: number; enum?: string[] }
export interface WorkflowTask { name: string; operator: string; description: string; needs: string[] | null; trigger_rule: string; retries: number; pool: string }
export interface Workflow extends Stamp { name: string; description?: string; paused?: boolean; tags?: string[] | null; params?: Param[] | null; tasks?: WorkflowTask[]; schedule?: string; timezone?: string; next_millis?: number; error?: string }

// Of people and films.
export interface User { user_id: string; age?: number; gender?: string; occupation?: string; zip?: string }
// Features.
export interface Field { name: string; type: string }
export interface Feature extends Field { aggregation?: string; kinds?: string[]; window_days?: number; half_life_days?: number; prior_mean?: number; prior_count?: number; genre?: string; of?: string; k?: number; expression?: string; description?: string }
export interface FeatureView { name: string; entity?: string; entities?: string[]; join_keys?: Field[]; project?: string; push_source?: string; ttl_millis?: number; inputs?: { name: string; feature: string }[]; request?: Field[]; description?: string; features: Feature[] }
export interface FeatureService { name: string; features: string[]; description?: string }
export interface FeatureVersion { feature_view: string; version: number; hash: string; kind: string; features: number; in_force: boolean; definitions_hash?: string; position: string; event_millis: number; recorded_millis: number; definition?: FeatureView }
export interface FeatureDefinitions extends Origin { definitions: string; hash: string; revision: number }
export interface Sourced { feature: string; type: string; value: unknown; status: string; by?: Cause & { from: unknown; to: unknown } }
export interface FeatureRow { feature_view: string; entity_key: string; at_millis: number; known_millis?: number; definitions_hash: string; features: Sourced[]; looked_to_millis?: number }
export interface FeatureSeries { times: number[]; features: { feature: string; type: string; values: unknown[] }[] }

// Quality and serving.
export interface Engaged { lists: number; lists_taken_up: number; films: number; films_liked: number; films_disliked: number; films_met: number; click_rate?: number; satisfaction?: number; mean_rating?: number; hit_rate_at?: Record<string, number> }
export interface EngagedDay extends Engaged { day: string; model_name?: string; model_version?: number }
export interface LatencySteps { total: Quantiles; steps: (Quantiles & { time_millis: number })[] }
export interface Quantiles { count: number; p50: number; p95: number; p99: number }
