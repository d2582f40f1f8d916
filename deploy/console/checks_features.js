// Checks of the pages of features, quality and serving.
const { waitMillis } = require('./world.js')

module.exports = (check, w, { must, same }) => {
  const values = (movie, more = '') => `/ui/features/movie_features?key.movie_id=${movie}${more}&tab=values`
  const shown = page => page.locator('[data-row-of] table tbody tr').evaluateAll(rows => Object.fromEntries(rows.map(r => [r.cells[1].innerText, r.cells[2].title])))
  const text = v => (v === null || v === undefined ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v))
  const movie = async () => (await w.get('/api/v1/movies?limit=5')).items[2].movie_id

  check('23 26 a row of features is what the API answers of both moments, and a late fact is struck out', async () => {
    const id = await movie()
    await w.act(21, id)
    const before = await w.cut()
    const late = await w.send('POST', '/api/v1/feedback', { user_id: '22', movie_id: id, interaction_type: 'like', timestamp: new Date(Date.now() - 3600_000).toISOString() })
    const asOf = new Date(Date.now() - 60_000).toISOString()
    const moments = { now: `&as_of=${asOf}`, then: `&as_of=${asOf}&known_at=${before}` }
    const counts = {}
    for (const [name, moment] of Object.entries(moments)) {
      const page = await w.open(values(id, moment))
      await page.locator('[data-row-of]').waitFor({ timeout: waitMillis })
      await w.settled(page)
      const want = (await w.get(`/api/v1/features/movie/${id}?view=movie_features${moment}`)).features
      const got = await shown(page)
      for (const [feature, v] of Object.entries(want)) same(got[feature], text(v), `${feature} as of ${name}`)
      counts[name] = Number(got.interaction_count)
      const struck = await page.locator('[data-too-late] li').allInnerTexts()
      same(struck.filter(s => s.includes(late.position)).length, name === 'then' ? 1 : 0, `late facts of ${name}`)
      if (name === 'then') must(await page.locator('[data-too-late] s').first().evaluate(e => getComputedStyle(e).textDecorationLine === 'line-through'), 'it is not struck out')
      await w.closeAll()
    }
    same(counts.now, counts.then + 1, 'what was known now and then')
    return `${counts.then} known then, ${counts.now} now`
  })

  check('every value of a row leads to the event that made it', async () => {
    const page = await w.open(values(await movie()))
    await page.locator('[data-row-of]').waitFor({ timeout: waitMillis })
    const row = page.locator('[data-row-of] tbody tr').filter({ hasText: 'interaction_count' }).first()
    const position = await row.locator('td').last().innerText()
    await row.locator('td').last().locator('a').click()
    await page.locator('article.record').filter({ hasText: position }).waitFor({ timeout: waitMillis })
    return `${c.judged} judged`
  })

  check('serving: what serves, how quick, and of the past what was known', async () => {
    for (let i = 0; i < 30; i++) await w.get(`/api/v1/recommendations?user_id=${i + 1}&k=5&record=false`)
    const page = await w.open('/ui/serving')
    await page.getByRole('row').filter({ hasText: 'rankings' }).waitFor({ timeout: waitMillis })
    const d = await w.get('/api/v1/deployments/production')
    must((await page.locator('main table').first().innerText()).includes(`${d.model} ${d.version}`), 'it does not show what serves')
    await w.settled(page)
    await page.waitForTimeout(500)
    await w.act(24, await movie())
    await page.locator('.news').waitFor({ timeout: waitMillis })
    const then = await w.open(`/ui/serving?known_at=${w.position}`)
    await w.settled(then)
    must((await then.locator('main').innerText()).includes('of the past it is not known'), 'it does not say that latency is of now')
    must((await then.locator('main table').first().innerText()).includes(w.position), 'the deployment of then is not shown')
    const never = await w.open('/ui/serving?known_at=2001-01-01')
    await w.settled(never)
    must(!(await never.locator('main').innerText()).includes(`${d.model} ${d.version}`), 'now is shown for then')
  })

  check('35 features, quality and serving of an empty program say so', async () => {
    const page = await w.open('/ui/', { base: w.locked, bare: true, expected: ['401'] })
    await page.locator('input[name=secret]').fill('sesame')
    await page.getByRole('button', { name: 'Begin' }).click()
    await page.getByRole('heading', { name: 'Overview' }).waitFor({ timeout: waitMillis })
    for (const at of ['/ui/quality', '/ui/serving']) {
      await page.goto(w.locked + at)
      await page.locator('.empty').first().waitFor({ timeout: waitMillis }).catch(() => must(false, `${at} does not say that it is empty`))
    }
    await page.goto(`${w.locked}/ui/features/movie_features?tab=values&key.movie_id=1`)
    await page.getByText('Nothing is known of this entity').waitFor({ timeout: waitMillis }).catch(() => must(false, 'features of nobody'))
    w.take()
  })
}
