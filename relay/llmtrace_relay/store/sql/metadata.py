"""Tenants, keys, audit, reports, flags and leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from sqlalchemy import func, select, update

from llmtrace_relay.model import ApiKey, AuditEvent, Report, Tenant
from llmtrace_relay.store import Page, SpanQuery
from llmtrace_relay.store.sql import filters
from llmtrace_relay.store.sql.removal import delete_matching
from llmtrace_relay.store.sql.schema import audit_events, flags, keys, leases, reports, tenants
from llmtrace_relay.store.sql.writing import insert_new, upsert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Table

    from llmtrace_relay.store.sql.database import Database

T = TypeVar("T")

_JSON: Final = msgspec.json.Decoder()


class SqlMetadata:
    """See `store.Metadata`."""

    _database: Database

    def tenants(self, limit: int, offset: int, /) -> Page[Tenant]:
        """See `Metadata.tenants`."""
        order = [tenants.c.created_at, tenants.c.id]
        return self._page(tenants, [], order, limit, offset, _tenant)

    def tenant(self, tenant_id: str, /) -> Tenant | None:
        """See `Metadata.tenant`."""
        return self._one(tenants, [tenants.c.id == tenant_id], _tenant)

    def put_tenant(self, tenant: Tenant, /) -> None:
        """See `Metadata.put_tenant`."""
        self._upsert(tenants, msgspec.structs.asdict(tenant), ("name", "plan", "config"))

    def ensure_tenant(self, tenant: Tenant, /) -> bool:
        """See `Metadata.ensure_tenant`."""
        values = msgspec.structs.asdict(tenant)
        return self.tenant(tenant.id) is None and self._database.write(
            lambda connection: connection.execute(insert_new(connection, tenants, ("id",)), values).rowcount > 0
        )

    def delete_tenant(self, tenant_id: str, /) -> bool:
        """See `Metadata.delete_tenant`."""
        if self.tenant(tenant_id) is None:
            return False
        delete_matching(self._database, SpanQuery(tenant_id=tenant_id))

        def work(connection: Connection) -> bool:
            connection.execute(keys.delete().where(keys.c.tenant_id == tenant_id))
            connection.execute(reports.delete().where(reports.c.tenant_id == tenant_id))
            return connection.execute(tenants.delete().where(tenants.c.id == tenant_id)).rowcount > 0

        deleted = self._database.write(work)
        # those of calls that ended meanwhile
        delete_matching(self._database, SpanQuery(tenant_id=tenant_id))
        return deleted

    def set_token(self, tenant_id: str, token_hash: str, /) -> bool:
        """See `Metadata.set_token`."""
        return self._update(update(tenants).where(tenants.c.id == tenant_id).values(token_hash=token_hash))

    def tenant_by_token(self, token_hash: str, /) -> Tenant | None:
        """See `Metadata.tenant_by_token`."""
        return self._one(tenants, [tenants.c.token_hash == token_hash], _tenant)

    def add_key(self, key: ApiKey, key_hash: str, /) -> None:
        """See `Metadata.add_key`."""
        self._upsert(keys, msgspec.structs.asdict(key) | {"key_hash": key_hash})

    def keys(self, tenant_id: str | None, limit: int, offset: int, /) -> Page[ApiKey]:
        """See `Metadata.keys`."""
        order = [keys.c.created_at.desc(), keys.c.id]
        return self._page(keys, _of_tenant(keys, tenant_id), order, limit, offset, _key)

    def key(self, tenant_id: str | None, key_id: str, /) -> ApiKey | None:
        """See `Metadata.key`."""
        return self._one(keys, [keys.c.id == key_id, *_of_tenant(keys, tenant_id)], _key)

    def key_by_hash(self, key_hash: str, /) -> ApiKey | None:
        """See `Metadata.key_by_hash`."""
        return self._one(keys, [keys.c.key_hash == key_hash], _key)

    def revoke_key(self, tenant_id: str | None, key_id: str, at: int, /) -> bool:
        """See `Metadata.revoke_key`."""
        which = [keys.c.id == key_id, keys.c.revoked_at.is_(None), *_of_tenant(keys, tenant_id)]
        return self._update(update(keys).where(*which).values(revoked_at=at))

    def key_used(self, key_id: str, at: int, /) -> None:
        """See `Metadata.key_used`."""
        later = func.coalesce(keys.c.last_used_at, at - 1) < at
        self._update(update(keys).where(keys.c.id == key_id, later).values(last_used_at=at))

    def audit(self, event: AuditEvent, /) -> None:
        """See `Metadata.audit`."""
        self._upsert(audit_events, msgspec.structs.asdict(event))

    def audits(
        self,
        tenant_id: str | None,
        /,
        *,
        event_type: str | None = None,
        start_time: int | None = None,
        end_time: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Page[AuditEvent]:
        """See `Metadata.audits`."""
        columns = audit_events.c
        conditions = _of_tenant(audit_events, tenant_id)
        if event_type is not None:
            conditions.append(columns.event_type == event_type)
        if start_time is not None:
            conditions.append(columns.timestamp >= start_time)
        if end_time is not None:
            conditions.append(columns.timestamp < end_time)
        order = [columns.timestamp.desc(), columns.id]
        return self._page(audit_events, conditions, order, limit, offset, _audit_event)

    def put_report(self, report: Report, /) -> None:
        """See `Metadata.put_report`."""
        self._upsert(reports, msgspec.structs.asdict(report))

    def report(self, tenant_id: str | None, report_id: str, /) -> Report | None:
        """See `Metadata.report`."""
        return self._one(reports, [reports.c.id == report_id, *_of_tenant(reports, tenant_id)], _report)

    def reports(self, tenant_id: str | None, limit: int, offset: int, /) -> Page[Report]:
        """See `Metadata.reports`."""
        order = [reports.c.created_at.desc(), reports.c.id]
        return self._page(reports, _of_tenant(reports, tenant_id), order, limit, offset, _report)

    def flags(self) -> dict[str, Any]:
        """See `Metadata.flags`."""
        found = self._database.read(lambda connection: connection.execute(select(flags)).all())
        return {row.name: _JSON.decode(row.value) for row in found}

    def set_flags(self, changed: dict[str, Any], /) -> None:
        """See `Metadata.set_flags`."""
        values = [{"name": name, "value": value} for name, value in sorted(changed.items()) if value is not None]
        forgotten = [name for name, value in changed.items() if value is None]

        def work(connection: Connection) -> None:
            if values:
                connection.execute(upsert(connection, flags, ("name",)), values)
            connection.execute(flags.delete().where(flags.c.name.in_(forgotten)))

        self._database.write(work)

    def lease(self, name: str, holder: str, now: int, until: int, /) -> bool:
        """See `Metadata.lease`."""

        def work(connection: Connection) -> bool:
            values = {"name": name, "holder": holder, "until": until}
            added = connection.execute(insert_new(connection, leases, ("name",)), values).rowcount > 0
            free = (leases.c.until <= now) | (leases.c.holder == holder)
            taken = update(leases).where(leases.c.name == name, free).values(holder=holder, until=until)
            return connection.execute(taken).rowcount > 0 or added

        return self._database.write(work)

    def _one(self, table: Table, conditions: Sequence[ColumnElement[bool]], made: Callable[[Row[Any]], T]) -> T | None:
        wanted = select(table).where(*conditions)
        row = self._database.read(lambda connection: connection.execute(wanted).first())
        return None if row is None else made(row)

    def _page(
        self,
        table: Table,
        conditions: Sequence[ColumnElement[bool]],
        order: Sequence[ColumnElement[Any]],
        limit: int,
        offset: int,
        made: Callable[[Row[Any]], T],
    ) -> Page[T]:
        most, first = filters.page_of(limit, offset)
        wanted = select(table).where(*conditions).order_by(*order).limit(most).offset(first)

        def work(connection: Connection) -> Page[T]:
            total = connection.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
            return Page(tuple(made(row) for row in connection.execute(wanted)), total, limit, offset)

        return self._database.read(work)

    def _upsert(self, table: Table, values: dict[str, Any], changed: Sequence[str] | None = None) -> None:
        keyed = [column.name for column in table.primary_key]
        self._database.write(lambda connection: connection.execute(upsert(connection, table, keyed, changed), values))

    def _update(self, statement: Any) -> bool:
        return self._database.write(lambda connection: connection.execute(statement).rowcount > 0)


def _of_tenant(table: Table, tenant_id: str | None) -> list[ColumnElement[bool]]:
    return [] if tenant_id is None else [table.c.tenant_id == tenant_id]


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(id=row.id, name=row.name, plan=row.plan, created_at=row.created_at, config=_JSON.decode(row.config))


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(**{name: getattr(row, name) for name in ApiKey.__struct_fields__})


def _audit_event(row: Row[Any]) -> AuditEvent:
    values = {name: getattr(row, name) for name in AuditEvent.__struct_fields__}
    return AuditEvent(**{**values, "data": _JSON.decode(row.data)})


def _report(row: Row[Any]) -> Report:
    values = {name: getattr(row, name) for name in Report.__struct_fields__}
    return Report(**{**values, "content": None if row.content is None else _JSON.decode(row.content)})
