import { Stream, Time } from '../parts/bits'
import { to } from '../router'
import type { AuditEntry } from '../types'

// EntryList is events of the ledger, a line each.
export function EntryList({ items }: { items: AuditEntry[] }) {
	return (
		<ol class="entries">{items.map(e => (
			<li key={`${e.position}.${e.index}`}><Time at={e.recorded_millis} /><a class="type" href={to(['events', e.event_id])}>{e.type}</a><span class="what">{e.summary}</span><span class="dim from"><Stream name={e.stream} /> {e.actor}</span></li>
		))}</ol>
	)
}
