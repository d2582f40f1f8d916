// Every text of the console. Another language has the same keys, and functions of the same form.
export const en = {
	// pages
	overview: 'Overview', try: 'Try', runs: 'Runs', models: 'Models', workflows: 'Workflows', events: 'Events', system: 'System', pages: 'Pages', page: 'page', above: 'Above', tabs: 'Views of this page',
	noPage: 'There is no such page', skip: 'Skip to the page',
	// settings
	settings: 'Settings', theme: 'Theme', themes: { system: 'as the system', light: 'light', dark: 'dark' } as Record<string, string>, language: 'Language', zone: 'Time zone', local: 'this browser’s', density: 'Density',
	densities: { normal: 'normal', compact: 'compact' } as Record<string, string>, endSession: 'End the session',
	// states
	loading: 'Loading', retry: 'Try again', request: 'Request', offline: 'The server cannot be reached', notThen: 'This is not known as of a moment: it is answered for now alone', emptyThen: 'Nothing was known of this at that moment',
	newRows: (n: number) => `${n} new`, staleSince: (at: string) => `Not live since ${at}`, paused: 'Paused', notReady: 'Not ready', ready: 'Ready', none: 'none', nothingFound: 'Nothing fits', unreadable: 'It cannot be read',
	liveSince: (at: string) => `Changes are shown as they come, since ${at}.`, notLiveSince: (at: string) => `Changes are not shown as they come, since ${at}.`,
	// session
	session: 'Credentials are needed', user: 'User', userOptional: '(empty for a token)', secret: 'Token or password', begin: 'Begin',
	// time
	timeBar: 'Recorded time', now: 'Now', since: 'since', asKnown: 'as known', moment: 'Moment', momentForms: 'A time, a position such as mlops-events/0@12, or a cut', goThere: 'Go there', noHistogram: 'No density', emptyLog: 'The log is empty',
	beforeLog: 'The log begins here', atEnd: 'There is no later event', noMark: 'There is no further mark', noCommandsThen: 'The past cannot be changed: go to now for commands', happened: 'Happened by',
	// keys
	keys: 'Keys', keysOn: 'Single keys do something', keyFilter: 'to the filter', keyPause: 'hold changes back, or show them', keyCopy: 'copy the link', keyNew: 'show what is new', keyUp: 'one level up', keyRowDown: 'next row', keyRowUp: 'row before',
	keyOpen: 'open the row', keySelect: 'select the row', keyCompare: 'compare what is selected', keyDiff: 'what differs from another moment', between: 'Events between', sinceSeen: 'Since you were here', keyMoment: 'type a moment', keyNow: 'to now', keyEventBefore: 'one event before', keyEventAfter: 'one event after', keyMarkBefore: 'mark before', keyMarkAfter: 'mark after', close: 'Close',
	// find
	find: 'Find', findWhat: 'an id, a name, a position', kind: (k: string) => k.replaceAll('_', ' '),
	// words
	copy: 'Copy', copied: 'Copied', copyId: 'Copy id', cancel: 'Cancel', all: 'all', more: 'More', field: 'Field', state: 'State', type: 'Type', value: 'Value', actor: 'Actor', note: 'Note', reason: 'Reason', size: 'Size', download: 'Download', changed: 'Changed', registered: 'Registered',
	before: 'Before', after: 'After', word: 'Word', name: 'Name', filter: 'Filter', columns: 'Columns', selected: 'Selected', select: (id: string) => `Select ${id}`, shown: (n: number) => `${n} shown`, scannedTo: 'looked back to', data: 'Data', sum: 'Sum',
	// overview
	serving: 'Serving', noDeployment: 'Nothing was deployed yet.', insteadOf: 'instead of', trouble: 'Trouble', viewsHalted: 'Halted views', deadLetters: 'Dead letters', quarantine: 'Quarantine', refused: 'Refused', atWork: 'At work', nothingAtWork: 'Nothing is under way.', latest: 'Latest events', allEvents: 'All events',
	// events
	topics: 'Topics', topic: 'Topic', records: 'Records', partitions: 'Partitions', offsets: 'Offsets', relay: 'copied', noDeadLetters: 'No reactor has given up on an event.', noQuarantine: 'No record was put in quarantine.', noRecord: 'There is no record at this position.', emptyTopic: 'This topic has no records.',
	causation: 'Causation', noCausation: 'No event of the ledger is known to have led to it or come of it.', leftOut: (n: number) => `${n} renewals and metrics are left out.`, truncated: (n: number) => `There is more than these ${n}.`,
	position: 'Position', stream: 'Stream', subject: 'Subject', recordedTime: 'Recorded', eventTime: 'Happened', eventId: 'Event id', cause: 'Cause', correlation: 'Correlation', source: 'Source', key: 'Key', event: 'Event',
	// runs
	run: 'Run', started: 'Started', duration: 'Duration', experiment: 'Experiment', dataset: 'Data set', workflowRun: 'Workflow run', metrics: 'Metrics', params: 'Parameters', tags: 'Tags', files: 'Files', step: 'step', points: (n: number) => `${n} points`, bucketed: (n: number, steps: number) => `${n} points; of every ${steps} steps the least, the greatest and the last`,
	compare: 'Compare', selectTwo: 'Select two runs or more to compare them.', newestOf: (n: number) => `the newest of ${n}`, noRuns: 'There are no runs yet.', noSuchField: (f: string) => `No run has ${f}.`, baseline: 'baseline', onlyDifferences: 'Only differences', showAll: (n: number) => `All ${n} fields`, differences: 'Differences', noDifference: 'Nothing differs.',
	// models
	model: 'Model', version: 'Version', versions: 'Versions', stage: 'Stage', aliases: 'Aliases', algorithm: 'Algorithm', lanes: 'What served when', lineage: 'Lineage', seed: 'Seed', code: 'Code', cut: 'Cut', blob: 'Weights', noModels: 'No model was registered yet.', diffWith: (n: number) => `with ${n}`,
	deployVersion: (m: string, n: number) => `Deploy ${m} ${n}`, deployInstead: (was: string, will: string) => `Slot production serves ${was}. It will serve ${will}, for everybody, from the next request on.`, deployFirst: (will: string) => `Slot production serves nothing. It will serve ${will}.`, deployed: (m: string, n: number) => `${m} ${n} is deployed`, servesAlready: 'It serves already', deployedMeanwhile: (is: string) => `Slot production has changed meanwhile: it serves ${is}. Close this, and look again`, servesSince: (slot: string) => `Serves ${slot} since`,
	// workflows
	workflow: 'Workflow', lastRuns: 'Last runs', schedule: 'Schedule', nextRun: 'Next', trigger: 'Trigger', pause: 'Pause', unpause: 'Go on', noWorkflowRuns: 'It has not run.', requested: 'Requested', runType: 'Kind', triggeredBy: 'Triggered by', triggered: (w: string) => `A run of ${w} was requested`, cancelRun: 'Cancel the run', clearFailed: 'Do failed tasks again',
	tasks: 'Tasks', tries: 'Tries', try_: 'Try', outputs: 'Outputs', log: 'Log', lines: (n: number) => `${n} lines`,
	// try
	person: 'Person', against: 'Beside', againstWhat: 'a moment, or baseline', whoFirst: 'Name a person to see their list, with the reasons.', strategy: 'Strategy', simulated: 'simulated', nothingToShow: 'There is nothing to show to them.', isNew: 'new', why: 'Why', parts: 'parts', rated: 'Recorded', like: 'Likes it', dislike: 'Dislikes it',
	// system
	views: 'Views', view: 'View', lag: 'Behind', folded: 'Folded', reactors: 'Reactors', reactor: 'Reactor', handled: 'Handled', failed: 'Failed', elsewhere: 'on another node', systemIsNow: 'This page shows the system as it is now.', verify: 'Verify', verifyWhat: 'Folds the whole log again beside what serves, and compares every byte.', verifyEqual: (n: number) => `${n} views are equal, byte for byte.`, verifyUnequal: (v: string) => `Not equal: ${v}`,
	// features
	features: 'Features', feature: 'Feature', featureView: 'View', featureViews: 'Views of features', services: 'Services', service: 'Service', entity: 'Entity', entities: 'Entities', description: 'Description', definition: 'Definition', definitions: 'Definitions', featureKinds: { computed: 'computed', pushed: 'pushed', on_demand: 'on demand' } as Record<string, string>,
	filterFeatures: 'a view, a feature, an aggregation', noFeatures: 'No features are defined.', hash: 'Hash', ttl: 'Served for', noTTL: 'ever', inForce: 'in force', notInForce: 'not in force', computedOf: 'Computed when it is read, of', saidByRequest: 'A request says', how: 'How', what: 'What', trainedOn: 'Models trained on it',
	applyDefinitions: 'Apply definitions', applyWhat: 'These definitions come into force for everybody, from the next read on. Models that were trained on others are refused as a deployment.', definitionsApplied: 'The definitions are in force', sameDefinitions: 'Nothing has changed: descriptions and comments do not count, the values are the same', whatChanges: 'Show what changes', whatChanged: 'what changed', theFile: 'The file',
	values: 'Values', whoseFeatures: 'Name an entity to see its values, with the event that made each.', nothingKnown: 'Nothing is known of this entity.', film: 'film', forTraining: 'for training alone', pointInTime: 'The row of this moment', training: 'Training', asTrainingSaw: 'as it was known at that time', lastChange: 'Last change', statuses: { NULL_VALUE: 'not known', NOT_FOUND: 'nothing is known', OUTSIDE_MAX_AGE: 'expired' } as Record<string, string>,
	tooLate: 'Too late', tooLateWhat: 'It had happened by then, and was recorded after what is known here: the row does not have it.', lookedBackTo: 'Events were looked for back to', knownNow: 'as known now', knownThen: 'as known at each time', overTime: 'Over time', seriesNote: (n: number) => `${n} times; click for the row of one`, changes: 'Changes',
	distribution: 'Distribution', trainingSet: 'Training set', countAgain: 'Count again', sample: 'Sample', drifted: 'Drifted', otherDefinitions: 'It was made by other definitions', noValue: 'None', mean: 'mean', tooFew: 'too few to tell', yes: 'yes', no: 'no',
	// quality
	quality: 'Quality', qualityWhat: 'Each act is ranked by what serves just before it is learned from: where did the film stand that was chosen?', window: 'Window', windows: 'Windows', from: 'From', until: 'To', byDay: 'days', byHour: 'hours', byActs: (n: string) => `${n} acts`, metric: 'Metric', noQuality: 'No act was judged in this time.', judged: 'Judged', ahead: 'Ahead of popularity', aheadWhat: 'by hr@10, with its 95 % interval; acts of one person are taken for independent', noFilm: 'Not in the catalogue',
	counting: 'counting alone', qualityNote: 'lines are deployments; click for the facts of a point', leftOutCurves: (n: number) => `${n} older versions are left out`, deployments: 'Deployments', factsOf: 'Facts of', outcome: 'Outcome', missed: 'not among the first ten', hit: 'among the first ten', rank: 'Rank', standsFor: 'Stands for', judgedBy: 'Judged',
	// serving
	slots: 'Slots', sinceWhen: 'Since', knownBy: 'Known', slot: 'Slot', deployAnother: 'Deploy another', whatCame: 'What came of lists', lastDays: (n: string) => `${n} days`, lastHours: (n: number) => `${n} h`, noLists: 'Nobody was shown a list in this time.', lists: 'Lists', clickRate: 'Taken up', satisfaction: 'Liked', met: 'Films met', days: 'Days', intervalWhat: '95 % intervals take lists for independent (Wilson); one version served after the other, not beside it.', allLists: 'all lists',
	latency: 'How quick', latencyIsNow: 'A process counts it: of the past it is not known.', countedSince: 'Counted by this process since', noLatency: 'Nothing was computed in this time.', latencyNote: 'per step; told within a ninth', operation: 'Operation', operations: { rank: 'rankings', predict: 'ratings' } as Record<string, string>, answers: 'Answers',
	drift: 'Drift', noDrift: 'No drift was measured that reached its threshold, and nobody has said so. It is measured by', driftScore: 'Score', threshold: 'Threshold', featuresDrift: 'How far features are from a training set is told by view:',
}
