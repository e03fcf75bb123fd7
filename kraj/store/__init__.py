"""The one safe store: schema, migrations, writing, queries; the only place that speaks SQL."""
