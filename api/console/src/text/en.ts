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
	// people and films
	people: 'People', filmsPage: 'Films', film: 'Film', acts: 'Acts', firstAct: 'First act', lastAct: 'Last act', saidOf: 'Said of them', age: 'age', idBegins: 'The id begins with', nobody: 'Nobody has acted yet, and nothing was said of anybody.', nothingOfThem: 'Nothing is known of this person.',
	history: 'History', whatWasShown: 'What was shown', shownNothing: 'They were shown nothing yet.', saidNothing: 'Nothing was said of them.', noActs: 'There are no acts yet.', actsBetween: 'Only what was recorded between the two moments', what: 'What', later: 'Later by', superseded: 'A later record corrects this rating', from: 'From', until: 'Before', order: 'Order', newestFirst: 'newest first', oldestFirst: 'oldest first',
	others: 'others', mostLate: 'Recorded latest after', happenedKnown: 'Happened, and known', cellSays: (event: string, recorded: string) => `a cell is ${event} by ${recorded}`, aboveLine: 'above the line is what came late', factsOf: (n: string) => `${n} acts`, filmsOf: (n: number) => `${n} films`, stars: 'Stars', recordAct: 'Record an act',
	year: 'Year', genre: 'Genre', genres: 'Genres', onLists: 'On lists', hiddenFilm: 'hidden', onlyHidden: 'Only hidden ones', titleWords: 'Words of the title', byTitle: 'by title', noFilms: 'There are no films yet.', released: 'Released', votes: 'Votes', similar: 'Similar', noOther: 'There is no other film.', by: 'By',
	hide: 'Hide from lists', unhide: 'Show on lists again', hideWhat: 'From now on the film is on nobody’s list, whatever makes it.', unhideWhat: 'From now on the film may be on lists again.', hiddenBecause: (reason: string) => `It is on no list: ${reason}`,
}
