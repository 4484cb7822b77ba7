//! The code lists of POSLog that this kit knows, and those of others kept as they stand.
//!
//! Invariant: the first code of a value is the one that is written, and the schema has it or allows it as `Prefix:Name`.
//! What follows are names that feeds use for the same.

use std::borrow::Cow;

/// Text of a document: borrowed from its bytes unless a reference had to be resolved.
pub type Text<'a> = Cow<'a, str>;

/// A list of codes.
pub trait CodeList: Copy + PartialEq + 'static {
    const CODES: &'static [(Self, &'static str)];

    fn code(self) -> &'static str {
        Self::CODES
            .iter()
            .find(|(value, _)| *value == self)
            .map_or("", |(_, code)| code)
    }

    fn from_code(code: &str) -> Option<Self> {
        Self::CODES
            .iter()
            .find(|(_, known)| *known == code)
            .map(|(value, _)| *value)
    }
}

/// A code of the list, or another one as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coded<'a, T> {
    Known(T),
    Other(Text<'a>),
}

impl<'a, T: CodeList> Coded<'a, T> {
    pub fn from_code(code: Text<'a>) -> Self {
        T::from_code(&code).map_or(Self::Other(code), Self::Known)
    }

    pub fn code(&self) -> &str {
        match self {
            Self::Known(value) => value.code(),
            Self::Other(code) => code,
        }
    }

    pub fn is(&self, value: T) -> bool {
        matches!(self, Self::Known(known) if *known == value)
    }
}

/// How far a retail transaction came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    Finished,
    /// Given up before it was paid.
    Voided,
    TransactionVoided,
    /// A later transaction took it back.
    PostVoided,
    /// Parked.
    Suspended,
    /// Parked, and taken up since by another transaction, which is the one that counts.
    SuspendedRetrieved,
    Cancelled,
}

impl CodeList for TransactionStatus {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Finished, "Finished"),
        (Self::Voided, "Voided"),
        (Self::TransactionVoided, "TransactionVoided"),
        (Self::PostVoided, "PostVoided"),
        (Self::Suspended, "Suspended"),
        (Self::SuspendedRetrieved, "SuspendedRetrieved"),
        (Self::Cancelled, "Canceled"),
        (Self::Cancelled, "Cancelled"),
    ];
}

/// How a line came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryMethod {
    Scanned,
    Keyed,
    Automatic,
    Weighed,
    SelfScan,
    Tapped,
    MagneticStripe,
    MagneticInk,
    Rfid,
}

impl CodeList for EntryMethod {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Scanned, "Scanned"),
        (Self::Keyed, "Keyed"),
        (Self::Automatic, "Automatic"),
        (Self::Weighed, "Weighed"),
        (Self::SelfScan, "SelfScan"),
        (Self::Tapped, "Tapped"),
        (Self::MagneticStripe, "MSR"),
        (Self::MagneticInk, "MICR"),
        (Self::Rfid, "RFID"),
    ];
}

/// What a sold or returned item is. Only stock moves stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemType {
    Stock,
    Service,
    Deposit,
    GiftCertificate,
    Fee,
    Alteration,
    Warranty,
}

impl CodeList for ItemType {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Stock, "Stock"),
        (Self::Service, "Service"),
        (Self::Deposit, "Deposit"),
        (Self::GiftCertificate, "GiftCertificate"),
        (Self::Fee, "Fee"),
        (Self::Alteration, "Alteration"),
        (Self::Warranty, "Warranty"),
    ];
}

/// What becomes of returned goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisposalMethod {
    ReturnToStock,
    WriteOff,
    Waste,
    Repair,
    ReturnToSupplier,
}

impl CodeList for DisposalMethod {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::ReturnToStock, "ReturnToStock"),
        (Self::WriteOff, "WriteOff"),
        (Self::Waste, "Waste"),
        (Self::Repair, "Repair"),
        (Self::ReturnToSupplier, "ReturnToSupplier"),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitOfMeasure {
    Each,
    Kilogram,
    Gram,
    Litre,
    Metre,
    Pound,
    Ounce,
    /// Its eaches are in the master data.
    Carton,
}

impl CodeList for UnitOfMeasure {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Each, "EA"),
        (Self::Kilogram, "KGM"),
        (Self::Kilogram, "Kg"),
        (Self::Kilogram, "KG"),
        (Self::Gram, "GRM"),
        (Self::Litre, "LTR"),
        (Self::Metre, "MTR"),
        (Self::Pound, "LBR"),
        (Self::Ounce, "Oz"),
        (Self::Carton, "stockstream:CT"),
        (Self::Carton, "CT"),
        (Self::Carton, "CS"),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenderType {
    Cash,
    CreditDebit,
    Check,
    GiftCard,
    Coupon,
    Mobile,
    Voucher,
    EbtCash,
    EbtFoodstamps,
}

impl CodeList for TenderType {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Cash, "Cash"),
        (Self::CreditDebit, "CreditDebit"),
        (Self::Check, "Check"),
        (Self::GiftCard, "GiftCard"),
        (Self::Coupon, "Coupon"),
        (Self::Mobile, "Mobile"),
        (Self::Voucher, "Voucher"),
        (Self::EbtCash, "EBTCash"),
        (Self::EbtFoodstamps, "EBTFoodstamps"),
    ];
}

/// Which way the money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenderDirection {
    Sale,
    Refund,
    Reissue,
}

impl CodeList for TenderDirection {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Sale, "Sale"),
        (Self::Refund, "Refund"),
        (Self::Reissue, "Reissue"),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotalType {
    Gross,
    Net,
    Tax,
    Grand,
    Subtotal,
    PurchaseQuantity,
    ItemCount,
    TenderApplied,
    Discount,
}

impl CodeList for TotalType {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Gross, "TransactionGrossAmount"),
        (Self::Net, "TransactionNetAmount"),
        (Self::Tax, "TransactionTaxAmount"),
        (Self::Grand, "TransactionGrandAmount"),
        (Self::Subtotal, "TransactionSubtotal"),
        (Self::PurchaseQuantity, "TransactionPurchaseQuantity"),
        (Self::ItemCount, "TransactionItemCount"),
        (Self::TenderApplied, "TransactionTenderApplied"),
        (Self::Discount, "DiscountAmount"),
    ];
}

/// What a till reports of itself. Moves no stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlKind {
    BusinessDayStart,
    BusinessDayEnd,
    PointOfSaleStart,
    PointOfSaleEnd,
    TillStart,
    TillEnd,
    SignOn,
    SignOff,
    Startup,
    Shutdown,
    NoSale,
    /// Takes an earlier transaction back: see [`super::Transaction::post_void`].
    PostVoid,
    PriceChange,
    ReceiptReprint,
    Heartbeat,
}

impl CodeList for ControlKind {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::BusinessDayStart, "BusinessSOD"),
        (Self::BusinessDayEnd, "BusinessEOD"),
        (Self::PointOfSaleStart, "POSSOD"),
        (Self::PointOfSaleEnd, "POSEOD"),
        (Self::TillStart, "TillSOD"),
        (Self::TillEnd, "TillEOD"),
        (Self::SignOn, "OperatorSignOn"),
        (Self::SignOff, "OperatorSignOff"),
        (Self::Startup, "POSStartup"),
        (Self::Shutdown, "POSShutdown"),
        (Self::NoSale, "NoSale"),
        (Self::PostVoid, "PostVoid"),
        (Self::PriceChange, "PriceChange"),
        (Self::ReceiptReprint, "ReceiptReprint"),
        (Self::Heartbeat, "Heartbeat"),
    ];
}

/// Documents of inventory control, in the schema's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InventoryKind {
    Count,
    Receive,
    Transfer,
    ReturnToVendor,
    Adjustment,
    Loss,
}

impl CodeList for InventoryKind {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Count, "InventoryCount"),
        (Self::Receive, "ReceiveInventory"),
        (Self::Transfer, "Transfer"),
        (Self::ReturnToVendor, "ReturnToVendor"),
        (Self::Adjustment, "InventoryAdjustment"),
        (Self::Loss, "InventoryLoss"),
    ];
}

/// Of a document: only a posted one moves stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentStatus {
    Posted,
    Pending,
    Cancelled,
}

impl CodeList for DocumentStatus {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Posted, "Posted"),
        (Self::Pending, "Pending"),
        (Self::Cancelled, "Canceled"),
        (Self::Cancelled, "Cancelled"),
    ];
}

/// Of an adjustment. The schema's own reasons take goods away; a correction has a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdjustmentReason {
    Donate,
    Destroy,
    Liquidate,
    Salvage,
    Correction,
}

impl CodeList for AdjustmentReason {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::Donate, "Donate"),
        (Self::Destroy, "Destroy"),
        (Self::Liquidate, "Liquidate"),
        (Self::Salvage, "Salvage"),
        (Self::Correction, "stockstream:Correction"),
    ];
}

/// Of a place that goods come from or go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitType {
    RetailStore,
    DistributionCenter,
    Supplier,
}

impl CodeList for UnitType {
    const CODES: &'static [(Self, &'static str)] = &[
        (Self::RetailStore, "RetailStore"),
        (Self::DistributionCenter, "DistributionCenter"),
        (Self::Supplier, "stockstream:Supplier"),
        (Self::Supplier, "Supplier"),
        (Self::Supplier, "Vendor"),
    ];
}

/// Where in the store goods were counted or corrected: an element of this kit, since the schema has no place for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    #[default]
    Floor,
    BackRoom,
}

impl CodeList for Room {
    const CODES: &'static [(Self, &'static str)] = &[(Self::Floor, "Floor"), (Self::BackRoom, "BackRoom")];
}
