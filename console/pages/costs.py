"""What a month costs at the pace of the last week, and what is the largest part of it."""

from __future__ import annotations

import streamlit as st

from console import session, widgets
from console.operations import costs
from console.operations.costs import Usage
from console.operations.environments.deployment import Deployment


@session.cached(600, outlives_changes=True)
def _usage(_here: Deployment) -> Usage:
    return costs.usage(_here)


def main() -> None:
    """Draw the page."""
    widgets.header(
        "Costs",
        "What a month costs at the pace of the last week, by the prices of us-east-1 in "
        "docs/cost.md. No free tier is subtracted.",
        refresh=(_usage,),
    )
    with widgets.show_errors():
        looked = _usage(session.here())
        used = looked.value
        items = costs.month(used)
        each = costs.upload_usd(used.variants + 2, memory=used.memory)
        with st.container(horizontal=True):
            total = sum(item.usd for item in items)
            for label, value in (
                ("A month, USD", f"{total:,.2f}"),
                ("A million uploads, USD", f"{each:,.2f}"),
                ("Uploads a month", f"{used.uploads:,.0f}"),
            ):
                st.metric(label, value, border=True, width=220)
        st.dataframe(
            [
                {
                    "Item": item.name,
                    "Quantity": item.quantity,
                    "USD a month": round(item.usd, 2),
                    "Share": item.usd / total if total else 0.0,
                }
                for item in items
            ],
            hide_index=True,
            width="stretch",
            height="content",
            column_config={
                "USD a month": st.column_config.NumberColumn(format="%.2f"),
                "Share": st.column_config.ProgressColumn(
                    min_value=0, max_value=1, format="percent"
                ),
            },
        )
        if used.views is None:
            st.caption("What the CDN serves is not counted here: no CloudFront metrics.")
        st.header("What would save", anchor=False)
        for what, usd in costs.savings(used).items():
            st.markdown(f"- {what}: **{usd:,.2f}** USD a month")
        st.caption(
            "Not in it: users (Cognito), a database, webhooks, cold starts, invalidations. "
            f"{widgets.age(looked).capitalize()}"
        )


main()
