"""Checks rows against the rules of FOCUS 1.2 that concern charges for usage: columns, types, nulls, allowed values, formats, sums."""

import csv
import datetime
import json
import re
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

table = pq.read_table(sys.argv[1])
total = Decimal(open(sys.argv[3]).read())
# Feature level "Mandatory" in the specification.
MANDATORY = """BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd BillingPeriodStart ChargeCategory ChargeClass
ChargeDescription ChargePeriodEnd ChargePeriodStart ContractedCost EffectiveCost InvoiceIssuerName ListCost PricingQuantity PricingUnit
ProviderName PublisherName ServiceCategory ServiceName""".split()
CONDITIONAL = """AvailabilityZone BillingAccountType CapacityReservationId CapacityReservationStatus ChargeFrequency CommitmentDiscountCategory
CommitmentDiscountId CommitmentDiscountName CommitmentDiscountQuantity CommitmentDiscountStatus CommitmentDiscountType CommitmentDiscountUnit
ConsumedQuantity ConsumedUnit ContractedUnitPrice InvoiceId ListUnitPrice PricingCategory PricingCurrency PricingCurrencyContractedUnitPrice
PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice RegionId RegionName ResourceId ResourceName ResourceType ServiceSubcategory SkuId
SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName SubAccountType Tags""".split()
NULLABLE = {"BillingAccountName", "ChargeClass", "ChargeDescription"}

names = table.schema.names
assert not set(MANDATORY) - set(names), set(MANDATORY) - set(names)
ours = set(names) - set(MANDATORY) - set(CONDITIONAL)
assert ours and all(re.fullmatch(r"x_[A-Za-z0-9_]+", name) for name in ours), ours
for field in table.schema:
    if re.search(r"(Cost|Quantity|UnitPrice)$", field.name):
        assert pa.types.is_decimal(field.type), field
    elif re.search(r"Period(Start|End)$", field.name):
        assert pa.types.is_timestamp(field.type) and field.type.tz == "UTC", field
    else:
        assert pa.types.is_string(field.type), field

rows = table.to_pylist()
# As written: digits of an account stay a text, names keep their letters, a month whose billing is closed has its invoice.
for row in rows:
    assert row["BillingAccountId"] == "0012345678" and row["ProviderName"] == "Große Wolke", row
    assert row["x_ApplicationName"] == "Übersicht 日次", row
    closed = row["BillingPeriodStart"].strftime("%Y-%m") == "2026-11"
    assert row["InvoiceId"] == ("0017" if closed else None), row
with open(sys.argv[2], newline="", encoding="utf-8") as file:
    written = file.read()
assert '"0012345678"' in written and ",0012345678," not in written
assert len(rows) == 4, len(rows)  # a driver's CPU and memory on two days
for row in rows:
    for name in MANDATORY:
        assert row[name] is not None or name in NULLABLE, name
    assert row["ChargeCategory"] == "Usage" and row["ChargeClass"] is None
    assert row["ChargeFrequency"] in ("One-Time", "Recurring", "Usage-Based")
    assert (row["ServiceCategory"], row["ServiceSubcategory"]) == ("Analytics", "Data Processing")
    assert row["PricingCategory"] in ("Standard", "Dynamic", "Committed", "Other")
    assert re.fullmatch(r"[A-Z]{3}", row["BillingCurrency"])
    start, end = row["ChargePeriodStart"], row["ChargePeriodEnd"]
    assert row["BillingPeriodStart"] <= start < end <= row["BillingPeriodEnd"]
    assert end - start <= datetime.timedelta(days=1)
    # Of a charge for usage none of these may be null, and units belong to quantities.
    for name in ("ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "SkuId", "SkuPriceId", "ListUnitPrice", "ContractedUnitPrice"):
        assert row[name] is not None, name
    assert re.fullmatch(r"(Core|GiB|GPU|Node)-Hours", row["PricingUnit"]), row["PricingUnit"]
    assert re.fullmatch(r"(Core|GiB|GPU|Node)-Seconds", row["ConsumedUnit"]), row["ConsumedUnit"]
    assert (row["RegionId"] is None) == (row["RegionName"] is None)
    assert row["ResourceId"] and row["ResourceType"] and row["ResourceName"]
    # Quantity and cost each keep nine digits, so their product is off by the rounding of both.
    for cost, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
        assert abs(row[price] * row["PricingQuantity"] - row[cost]) <= Decimal("2e-9"), (cost, row)
    assert row["BilledCost"] == row["EffectiveCost"] == row["ContractedCost"] <= row["ListCost"]
    tags = json.loads(row["Tags"])
    assert tags == {"team": 'red, "hot"', "example.com/tenant": "ä"}, tags
    details = json.loads(row["SkuPriceDetails"])
    assert all(key.startswith("x_") for key in details)
assert sum(row["BilledCost"] for row in rows) == total, (rows, total)
assert len({row["ChargePeriodStart"].date() for row in rows}) == 2

written = list(csv.DictReader(open(sys.argv[2], newline="", encoding="utf-8")))
assert len(written) == len(rows)
for text, row in zip(written, rows):
    for name, value in row.items():
        if value is None:
            assert text[name] == ""
        elif isinstance(value, Decimal):
            assert Decimal(text[name]) == value and "e" not in text[name].lower()
        elif isinstance(value, datetime.datetime):
            assert text[name].endswith("Z") and datetime.datetime.fromisoformat(text[name]) == value
        else:
            assert text[name] == value
