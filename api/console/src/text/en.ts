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
	deployVersion: (m: string, n: number) => `Deploy ${m} ${n}`, deployInstead: (was: string, will: string) => `Slot production serves ${was}. It will serve ${will}, for everybody, from the next request on.`, deployFirst: (will: string) => `Slot production serves nothing. It will serve ${will}.`, deployed: (m: string, n: number) => `${m} ${n} is deployed`, servesAlready: 'It serves already', servesSince: (slot: string) => `Serves ${slot} since`,
	// workflows
	workflow: 'Workflow', lastRuns: 'Last runs', schedule: 'Schedule', nextRun: 'Next', trigger: 'Trigger', pause: 'Pause', unpause: 'Go on', noWorkflowRuns: 'It has not run.', requested: 'Requested', runType: 'Kind', triggeredBy: 'Triggered by', triggered: (w: string) => `A run of ${w} was requested`, cancelRun: 'Cancel the run', clearFailed: 'Do failed tasks again',
	tasks: 'Tasks', tries: 'Tries', try_: 'Try', outputs: 'Outputs', log: 'Log', lines: (n: number) => `${n} lines`,
	// try
	person: 'Person', against: 'Beside', againstWhat: 'a moment, or baseline', whoFirst: 'Name a person to see their list, with the reasons.', strategy: 'Strategy', simulated: 'simulated', nothingToShow: 'There is nothing to show to them.', isNew: 'new', why: 'Why', parts: 'parts', rated: 'Recorded', like: 'Likes it', dislike: 'Dislikes it',
	// system
	views: 'Views', view: 'View', lag: 'Behind', folded: 'Folded', reactors: 'Reactors', reactor: 'Reactor', handled: 'Handled', failed: 'Failed', elsewhere: 'on another node', systemIsNow: 'Views and reactors are shown as they are now.', verifyEqual: (n: number) => `${n} views are equal, byte for byte.`, verifyUnequal: (v: string) => `Not equal: ${v}`,
	// operations
	operations: 'Operations', operation: 'Operation', operationsWhat: 'Long work. It goes on when this page is closed, and is found again here. One of a kind at a time; if the program is killed, its next start says that it was interrupted.', noOperations: 'No long work was begun here yet.',
	operationKind: (k: string) => ({ verify: 'Verify', replay: 'Replay', rebuild: 'Rebuild a model', recommendations: 'Recommend at a moment', backup: 'Back up', import: 'Import' })[k] ?? k,
	operationWhat: (k: string) => ({ verify: 'Folds the whole log again beside what serves, and compares every byte. It changes nothing.', replay: 'Folds views again beside what serves; then they take its place.', rebuild: 'Trains the version again from the log alone, and compares the bytes.', recommendations: 'Folds the views up to a moment, and ranks with them. It changes nothing.', backup: 'Copies the running log and the blobs into a new folder on the server, and reads the copy again.', import: 'Adds the films and acts of a data set to the log. What is there already is not added again.' })[k] ?? '',
	operationGoesOn: 'It goes on when this page is closed.', operationBegun: 'begun', operationCancelling: 'It is being cancelled', operationElsewhere: (h: string) => `with another process: ${h}`, operationInterrupted: 'Its process ended before it. Begin it again.', what: 'What', ended: 'Ended', endedBy: 'Ended by', process: 'Process', result: 'Result', resultLong: (n: string) => `The result is not kept: it has ${n}.`,
	allViews: 'all views', newFolder: 'A new folder, on the server', dataSetPath: 'a data set on the server', pathThere: 'Folder, .zip or csv file, on the server', simulatedWorld: 'a simulated world', slowThen: 'The views of that moment are being folded.', goOnWithout: 'Let it go on without this page',
	// stages and aliases
	moveStage: 'Move to a stage', moveTo: (what: string, stage: string) => `Move ${what} to ${stage}`, servesNothingNew: 'What serves stays as it is.', archiveOthers: (s: string) => `Archive the other versions in ${s}`, noAliases: 'no aliases', alias: 'Alias', setAlias: 'Set an alias', removeAlias: (a: string) => `Remove the alias ${a}`, aliasGone: 'Whoever asks for it by this name is told that there is none.',
	// groups, dead letters, tail
	groups: 'Groups', group: 'Group', committed: 'Committed', end: 'End', noGroups: 'No consumer group has committed an offset yet.', groupsWhat: 'Consumer groups of Kafka’s clients, and how far each is behind.', retryLetter: 'Try again', dropLetter: 'Drop', letterDropped: 'dropped', letterRetried: 'tried again', dropWhat: (r: string, e: string) => `${r} will not deal with this event (${e}). What it would have led to does not happen.`, open: 'open', retried: 'retried', dropped: 'dropped', resolvedBy: 'Resolved by', attempts: (n: number) => `${n} attempts`,
	tail: 'Follow', tailing: 'New records are shown as they come, twice a second at most.', tailLeftOut: (n: number) => `${n} more came than are shown.`,
}
