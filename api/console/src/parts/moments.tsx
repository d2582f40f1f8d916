// A thing at two moments: what differs, and below it the events between, with who caused them.
import { exact, type Got, url, useGet } from '../api'
import { Diff, diff } from '../diff'
import { time } from '../format'
import { useKeys } from '../keys'
import { EntryList } from '../pages/entries'
import { knownAt, place, set } from '../router'
import { t } from '../text'
import { askMoment } from '../timebar'
import type { AuditEntry, Page } from '../types'
import { Shown } from './states'

interface Between extends Page<AuditEntry> { facts?: Record<string, number> }

// there takes what there was not yet for a thing without fields.
const there = (got: Got<unknown>): Got<unknown> => (got.problem?.status === 404 ? { loading: false, news: 0, again: got.again, data: {} } : got)

export function Moments({ path, stream }: { path: string; stream: string }) {
	const vs = place.value.params.get('vs_known_at') ?? ''
	const then = useGet<unknown>(vs === '' ? null : url(path, { known_at: vs }), { as: exact })
	const here = useGet<unknown>(vs === '' ? null : url(path, { known_at: knownAt.value }), { as: exact, views: ['log'] })
	const between = useGet<Between>(vs === '' ? null : url('/api/v1/audit', { known_after: vs, known_at: knownAt.value, stream, limit: 200 }), { views: ['log'] })
	useKeys([{ keys: 'd', does: t.keyDiff, run: () => askMoment(m => set({ vs_known_at: m })) }])
	if (vs === '') return <p><button type="button" class="quiet" data-focus="diff" onClick={() => askMoment(m => set({ vs_known_at: m }))}>{t.keyDiff} <kbd>d</kbd></button></p>
	const called = (moment: string) => (moment === '' ? t.now : /^\d{4}-/.test(moment) && Number.isFinite(Date.parse(moment)) ? time(Date.parse(moment)) : moment)
	return (
		<section class="card" data-diff=""><h2>{called(vs)} → {called(knownAt.value)} <button type="button" class="quiet" onClick={() => set({ vs_known_at: '' })}>{t.close}</button></h2>
			<Shown got={there(then)} rows={2}>{a => <Shown got={there(here)} rows={2}>{b => <Diff changes={diff(a, b)} names={[called(vs), called(knownAt.value)]} />}</Shown>}</Shown>
			<h3>{t.between}</h3>
			<Shown got={between} rows={2}>{p => p.items.length === 0 ? <p class="dim">{t.none}</p> : <EntryList items={p.items} />}</Shown>
		</section>
	)
}
