"""The fields of Fortnox's customers, articles, invoices and invoice rows, as text tables.

One line per field: name, kind, flags. Kinds: `text`, `number`, `int`, `bool`, `date`, `ref` (text whose "0" means
none), `enum:A,B`. Flags: a number is the maximum length, `.2` the decimals Fortnox keeps, `ro` read-only, `req`
required on create, `list` also in the rows of a list, `list=X` there under the name X, `zero` a 0 that lists spell
null. Source: Fortnox's published interface description and recorded answers; what a list carries was recorded, not
documented.
"""

from __future__ import annotations

_HOUSEWORK = (
    "CONSTRUCTION,ELECTRICITY,GLASSMETALWORK,GROUNDDRAINAGEWORK,MASONRY,PAINTINGWALLPAPERING,HVAC,"
    "MAJORAPPLIANCEREPAIR,MOVINGSERVICES,ITSERVICES,CLEANING,TEXTILECLOTHING,SNOWPLOWING,GARDENING,BABYSITTING,"
    "OTHERCARE,OTHERCOSTS,SOLARCELLS,STORAGESELFPRODUCEDELECTRICITY,CHARGINGSTATIONELECTRICVEHICLE,HOMEMAINTENANCE,"
    "FURNISHING,TRANSPORTATIONSERVICES,WASHINGANDCAREOFCLOTHING"
)

CUSTOMER = """
Active bool
Address1 text 1024 list
Address2 text 1024 list
City text 1024 list
Comments text 1024
CostCenter text
Country text ro
CountryCode text 2
Currency text 3
CustomerNumber text 1024 list
DeliveryAddress1 text 1024
DeliveryAddress2 text 1024
DeliveryCity text 1024
DeliveryCountry text ro
DeliveryCountryCode text 2
DeliveryFax text 1024
DeliveryName text 1024
DeliveryPhone1 text 1024
DeliveryPhone2 text 1024
DeliveryZipCode text 10
Email text 1024 list
EmailInvoice text 1024
EmailInvoiceBCC text 1024
EmailInvoiceCC text 1024
EmailOffer text 1024
EmailOfferBCC text 1024
EmailOfferCC text 1024
EmailOrder text 1024
EmailOrderBCC text 1024
EmailOrderCC text 1024
ExternalReference text 1024
Fax text 1024
GLN text 13
GLNDelivery text 13
InvoiceAdministrationFee number .2
InvoiceDiscount number .2
InvoiceFreight number .2
InvoiceRemark text 1024
Name text 1024 req list
OrganisationNumber text 30 list
OurReference text 50
Phone1 text 1024 list=Phone
Phone2 text 1024
PriceList text
Project ref
SalesAccount text 4
ShowPriceVATIncluded bool
TermsOfDelivery text
TermsOfPayment text
Type enum:PRIVATE,COMPANY
VATNumber text
VATType enum:SEVAT,SEREVERSEDVAT,EUREVERSEDVAT,EUVAT,EXPORT
VisitingAddress text 128
VisitingCity text 128
VisitingCountry text 128 ro
VisitingCountryCode text 2
VisitingZipCode text 10
WWW text 128
WayOfDelivery text
YourReference text 50
ZipCode text 10 list
"""

ARTICLE = f"""
Active bool
ArticleNumber text 50 list
Bulky bool
CommodityCode text ro
ConstructionAccount int
CostCalculationMethod enum:MANUAL,LAST_RELEASED_INBOUND
DefaultStockLocation text
DefaultStockPoint text
Depth int
Description text 200 req list
DirectCost number .2
DisposableQuantity number ro list
EAN text 30 list
EUAccount int
EUVATAccount int
Expired bool
ExportAccount int
FreightCost number .2
Height int
Housework bool list
HouseworkType enum:{_HOUSEWORK},COOKING,TUTORING,EMPTYHOUSEWORK
Manufacturer text 50
ManufacturerArticleNumber text 50
Note text 10000
OtherCost number .2
PurchaseAccount int
PurchasePrice number .2 list
QuantityInStock number .2 list
ReservedQuantity number ro list
SalesAccount int
SalesPrice number ro list
StockAccount int
StockChangeAccount int
StockGoods bool
StockPlace text 100 list
StockValue number ro list
StockWarning number .2
SupplierName text ro
SupplierNumber text
Type enum:STOCK,SERVICE
Unit text list
VAT number ro list zero
WebshopArticle bool list
Weight int
Width int
"""

INVOICE = """
AccountingMethod enum:ACCRUAL,CASH ro
Address1 text
Address2 text
AdministrationFee number .2
AdministrationFeeVAT number ro
Balance number ro list
BasisTaxReduction number ro
Booked bool ro list
Cancelled bool ro list
City text 1024
Comments text 1024
ContractReference ref ro
ContributionPercent number ro
ContributionValue number ro
CostCenter text list
Country text
Credit bool ro
CreditInvoiceReference ref ro
Currency text 3 list
CurrencyRate number list
CurrencyUnit number list
CustomerName text list
CustomerNumber text req list
DeliveryAddress1 text 1024
DeliveryAddress2 text 1024
DeliveryCity text 1024
DeliveryCountry text
DeliveryDate date
DeliveryName text 1024
DeliveryZipCode text 1024
DocumentNumber text list
DueDate date list
EUQuarterlyReport bool
ExternalInvoiceReference1 text 80 list
ExternalInvoiceReference2 text 80 list
FinalPayDate date ro list
Freight number .2
FreightVAT number ro
Gross number ro
HouseWork bool ro
InvoiceDate date list
InvoicePeriodEnd date ro
InvoicePeriodReference text ro
InvoicePeriodStart date ro
InvoiceReference ref ro
InvoiceType enum:INVOICE,AGREEMENTINVOICE,INTRESTINVOICE,SUMMARYINVOICE,CASHINVOICE list
Language enum:SV,EN
LastRemindDate date ro
Net number ro
NotCompleted bool
NoxFinans bool ro list
OCR text list
OfferReference ref ro
OrderReference ref ro
OrganisationNumber text ro
OurReference text 50
OutboundDate date
PaymentWay enum:CASH,CARD,AG
Phone1 text 1024
Phone2 text 1024
PriceList text
PrintTemplate text
Project ref list
Remarks text 1024
Reminders number ro
RoundOff number ro
Sent bool ro list
TaxReduction number ro
TaxReductionType enum:none,rot,rut,green
TermsOfDelivery text
TermsOfPayment text list
TimeBasisReference ref ro
Total number ro list
TotalToPay number ro
TotalVAT number ro
VATIncluded bool
VoucherNumber number ro list
VoucherSeries text ro list
VoucherYear number ro list
WarehouseReady bool ro
WayOfDelivery text list
YourOrderNumber text 75
YourReference text 50
ZipCode text 1024
"""

ROW = f"""
AccountNumber int
ArticleNumber text 50
ContributionPercent number ro
ContributionValue number ro
Cost number ro
CostCenter text
DeliveredQuantity number .2
Description text 255
Discount number .2
DiscountType enum:AMOUNT,PERCENT
HouseWork bool
HouseWorkHoursToReport int
HouseWorkType enum:{_HOUSEWORK}
Price number .2
PriceExcludingVAT number ro
Project ref
RowId int
StockPointCode text
Total number ro
TotalExcludingVAT number ro
Unit text
VAT int
VATCode text
"""
